"""`DIR/run.json`: where the running mesh is reached, and which processes it consists of.

It is there while `cerebro up` runs, rewritten whenever a process is restarted, and removed by a clean stop. If it
is there and nothing runs, the launcher was killed; the next start ends what that left behind.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = "run.json"
LOCK: Final = "lock"


class Run(msgspec.Struct, omit_defaults=True):
    """A running mesh. `started` says when each process began (seconds since 1970), to know it from a later one of the same id."""

    http: str
    nats: str
    postgres: str
    redis: str
    processes: dict[str, int]
    started: dict[str, float] = {}
    quarantined: list[str] = []


class AlreadyRunning(Exception):
    """Another `cerebro up` runs on this data folder."""


def read(folder: Path) -> Run | None:
    """What the file says; None without a file, or if it was not written by us."""
    with suppress(FileNotFoundError, msgspec.MsgspecError):
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Run)
    return None


def write(folder: Path, run: Run) -> None:
    """Replace the file in one step; only its owner may read it, for it holds the database's password."""
    unfinished = folder / f"{FILE}.unfinished"
    unfinished.touch(mode=0o600)
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    unfinished.replace(folder / FILE)


def remove(folder: Path) -> None:
    (folder / FILE).unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the data folder; the kernel lets go of it if we die. Raises AlreadyRunning, with the address of the other."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = read(folder)
            address = other.http if other else "starting"
            raise AlreadyRunning(f"cerebro is already running on {folder}: {address}") from None
        yield
    finally:
        os.close(descriptor)
