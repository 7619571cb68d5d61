"""What every bench has: what it is asked to measure, and meshes of its own, as a user starts them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import memory  # noqa: F401 - says how many threads a matrix product takes; must be said before numpy is imported
from bench.asked import Asked, read
from bench.table import commit
from tests.integration.launched import Up

Launch = Callable[..., Up]


@pytest.fixture(scope="session", autouse=True)
def asked() -> Asked:
    """For every bench, so that its variables are gone before one of them starts a mesh."""
    commit()
    return read()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start `cerebro up` with these settings (`launch(CEREBRO_MEMORY_EMBEDDING="none")`); stopped at the end."""
    started: list[Up] = []

    def start(**settings: str) -> Up:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in settings.items():
                environment.setenv(name, value)
            started.append(Up(tmp_path / f"data-{len(started)}"))
        return started[-1].wait_until_ready()

    yield start
    for up in started:
        up.stop()
