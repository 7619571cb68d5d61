"""Before anything is started: what is asked of these tests in the environment is no setting of a mesh, which would refuse it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import chances, disk

__all__ = ["chances"]
DISKS_BYTES = 6 * 1024**3
"""What all disks of a test really hold, with room to spare."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where a test keeps its disks."""
    with tempfile.TemporaryDirectory(prefix="cerebro-disks-", dir=disk.room(tmp_path, DISKS_BYTES)) as folder:
        yield Path(folder)
