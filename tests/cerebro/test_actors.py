"""The pulse: what an actor shows to whoever watches from outside."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cerebro.actors import Pulse


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(writing)


class TestPulse:
    def test_ready_is_one_line_in_the_pipe(self, pipe: tuple[int, int]) -> None:
        reading, writing = pipe
        Pulse(writing, None, asyncio.Event()).ready()
        assert os.read(reading, 100) == b"ready\n"
        os.close(reading)

    def test_without_anybody_watching_nothing_happens(self) -> None:
        stop = asyncio.Event()
        Pulse(None, None, stop).ready()
        assert not stop.is_set()

    def test_a_launcher_that_is_gone_means_stop(self, pipe: tuple[int, int]) -> None:
        reading, writing = pipe
        os.close(reading)
        stop = asyncio.Event()
        Pulse(writing, None, stop).ready()
        assert stop.is_set()

    def test_a_launcher_that_does_not_read_is_borne(self, pipe: tuple[int, int]) -> None:
        reading, writing = pipe
        pulse = Pulse(writing, None, asyncio.Event())
        for _ in range(65_536 // len(b"ready\n") + 2):
            pulse.ready()
        os.close(reading)

    async def test_the_file_is_touched_once_the_actor_serves_and_not_before(self, tmp_path: Path) -> None:
        pulse = Pulse(None, tmp_path / "pulse", asyncio.Event())
        beating = asyncio.create_task(pulse.beat(), name="pulse")
        await asyncio.sleep(0)
        assert not (tmp_path / "pulse").exists()
        pulse.ready()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (tmp_path / "pulse").exists()
        beating.cancel()
