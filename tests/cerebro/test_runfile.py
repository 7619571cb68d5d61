"""run.json and the lock beside it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cerebro import runfile
from cerebro.leftovers import end_leftovers
from cerebro.runfile import AlreadyRunning, Run

RUN = Run(http="http://h:1", nats="nats://n", postgres="postgresql://p", redis="redis://r", processes={"launcher": 1, "nats": 2})


class TestFile:
    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        runfile.write(tmp_path, RUN)
        assert runfile.read(tmp_path) == RUN

    def test_only_its_owner_may_read_it(self, tmp_path: Path) -> None:
        runfile.write(tmp_path, RUN)
        assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600

    @pytest.mark.parametrize("content", [None, b"", b"{", b'{"http": 1}'])
    def test_no_file_or_one_that_is_not_ours_is_none(self, tmp_path: Path, content: bytes | None) -> None:
        if content is not None:
            (tmp_path / "run.json").write_bytes(content)
        assert runfile.read(tmp_path) is None


class TestLock:
    def test_a_second_holder_is_told_where_the_first_one_is_reached(self, tmp_path: Path) -> None:
        with runfile.locked(tmp_path):
            runfile.write(tmp_path, RUN)
            with pytest.raises(AlreadyRunning, match="http://h:1"), runfile.locked(tmp_path):
                pass

    def test_it_is_free_again_afterwards(self, tmp_path: Path) -> None:
        for _ in range(2):
            with runfile.locked(tmp_path):
                pass


class TestLeftovers:
    def test_a_process_of_an_earlier_run_is_ended(self) -> None:
        begun = [sys.executable, "-c", "print(flush=True); input()", "cerebro"]
        left = subprocess.Popen(begun, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert left.stdout is not None
        left.stdout.readline()  # until it runs, the kernel may not show its words yet
        started = {"nexus": psutil.Process(left.pid).create_time()}
        assert end_leftovers(Run("", "", "", "", {"nexus": left.pid}, started)) == ["nexus"]
        left.communicate()

    def test_a_later_process_with_the_same_id_is_left_alone(self) -> None:
        assert end_leftovers(Run("", "", "", "", {"nexus": os.getpid()}, {"nexus": 1.0})) == []

    def test_another_program_that_began_at_the_same_time_is_left_alone(self) -> None:
        started = {"redis": psutil.Process().create_time()}
        assert end_leftovers(Run("", "", "", "", {"redis": os.getpid()}, started)) == []

    def test_the_launcher_itself_is_never_ended(self) -> None:
        started = {"launcher": psutil.Process().create_time()}
        assert end_leftovers(Run("", "", "", "", {"launcher": os.getpid()}, started)) == []
