"""A disk that can lose its power: an ext4 file system in a file, mounted by loop, whose file is copied as it stands at one instant.

What a program has written and not synced lies in the page cache of the mounted file system, so it is not in the file, and not in the copy:
exactly what a power cut takes. What the kernel had written back by itself until then is there, in whatever order it did so.

    Disk           its own cache keeps what it was given: all that the file system has handed down is on the platter
    CachedDisk     what it was given is safe only once the file system asks it to flush; a cut loses the rest of it, or parts of it. It is
                   a disk in a file of another one: the page cache of the lower file system is the cache of the upper disk
"""

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, Self

Journal = Literal["ordered", "writeback", "journal"]

MOUNT_OPTIONS: Final = "noatime,errors=remount-ro"
STILL_S: Final = 0.02
"""How long a disk without a write under way must have taken none, before and after it is copied."""
STILL_WAIT_S: Final = 20.0
UNMOUNT_WAIT_S: Final = 20.0
INODES: Final = 16_384
"""Most files of a disk: few, as the tables of them are copied with it."""
JOURNAL_MB: Final = 16
COMMAND_S: Final = 120.0
CACHE_ROOM_BYTES: Final = 96 * 1024 * 1024
"""What the lower file system of a cached disk needs for itself."""


WAIT_BEFORE, WRITE, WAIT_AFTER = 1, 2, 4  # of sync_file_range(2)


class DiskFailed(Exception):
    """A disk could not be made, mounted, copied or let go. The message holds what the command said."""


def missing() -> str | None:
    """Why no disks can be had here; None where they can."""
    if os.geteuid() != 0:
        return "power cuts need root: they mount a file system"
    for program in ("mkfs.ext4", "mount", "umount", "losetup", "cp"):
        if shutil.which(program) is None:
            return f"power cuts need {program}"
    return None if Path("/dev/loop-control").exists() else "power cuts need loop devices"


def room(elsewhere: Path, needed_bytes: int) -> Path:
    """Where files of disks are kept: in memory where there is room for that many bytes, else in the folder `elsewhere`."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free >= needed_bytes else elsewhere


class Disk:
    """An ext4 file system in `file`. `journal`: ext4's mode for data."""

    def __init__(self, file: Path, journal: Journal = "ordered") -> None:
        self.file = file
        self.journal = journal

    def make(self, size_bytes: int) -> Self:
        """Make the file, sparse, and an empty file system in it."""
        formatted(self.file, size_bytes)
        return self

    @contextmanager
    def mounted(self, at: Path) -> Iterator[Path]:
        """Mounted at `at`, and let go afterwards, whatever happened. Mounting replays the file system's journal."""
        with mounted(self.file, at, self.journal):
            yield at

    def copied(self, to: Path) -> Self:
        """A disk as this one stands now, in `to`. Whoever writes to it must have been stopped."""
        device = device_of(self.file)
        deadline = time.monotonic() + STILL_WAIT_S
        while True:
            before = wait_until_still(device, deadline)
            run("cp", "--sparse=auto", str(self.file), str(to))
            if written(device) == before:
                return type(self)(to, self.journal)
            if time.monotonic() > deadline:
                raise DiskFailed(f"{device} was never still for as long as a copy takes")

    def remove(self) -> None:
        self.file.unlink(missing_ok=True)


class CachedDisk(Disk):
    """As `Disk`, but that a cut also loses what the file system has handed down without asking for a flush."""

    def make(self, size_bytes: int) -> Self:
        formatted(self.file, size_bytes + CACHE_ROOM_BYTES)
        below = self._below()
        with mounted(self.file, below, "ordered"):
            formatted(below / "disk", size_bytes)
        return self

    @contextmanager
    def mounted(self, at: Path) -> Iterator[Path]:
        below = self._below()
        with mounted(self.file, below, "ordered"), mounted(below / "disk", at, self.journal):
            yield at

    def _below(self) -> Path:
        return self.file.with_name(f"{self.file.name}.below")


def formatted(file: Path, size_bytes: int) -> None:
    """A sparse file with an empty ext4 in it, all of whose tables are made now: nothing writes to it that was not asked to."""
    with file.open("wb") as made:
        made.truncate(size_bytes)
    run(
        "mkfs.ext4",
        "-q",
        "-F",
        "-m",
        "0",
        "-N",
        str(INODES),
        "-J",
        f"size={JOURNAL_MB}",
        "-E",
        "lazy_itable_init=0,lazy_journal_init=0",
        str(file),
    )


@contextmanager
def mounted(file: Path, at: Path, journal: Journal) -> Iterator[None]:
    """The file system in `file`, mounted at `at`."""
    at.mkdir(parents=True, exist_ok=True)
    run("mount", "-o", f"loop,{MOUNT_OPTIONS},data={journal}", str(file), str(at))
    try:
        yield
    finally:
        let_go(at)


def let_go(at: Path) -> None:
    """Unmount, once nobody holds it any more; the loop device goes with it."""
    deadline = time.monotonic() + UNMOUNT_WAIT_S
    while True:
        try:
            run("umount", str(at))
            break
        except DiskFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    at.rmdir()


def handed_down(descriptor: int) -> None:
    """Have the kernel write a file's pages to the disk now, as it does by itself after a while, without a flush: sync_file_range(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    if libc.sync_file_range(descriptor, 0, 0, WAIT_BEFORE | WRITE | WAIT_AFTER) != 0:
        raise OSError(ctypes.get_errno(), "sync_file_range")


def device_of(file: Path) -> str:
    """The loop device of a mounted disk, as `loop7`."""
    found = run("losetup", "--noheadings", "--output", "NAME", "--associated", str(file)).split()
    if len(found) != 1:
        raise DiskFailed(f"{file} has {len(found)} loop devices")
    return Path(found[0]).name


def written(device: str) -> tuple[int, int, int]:
    """How many writes, sectors and flushes a device has done. (Documentation/block/stat.rst of the kernel has the fields.)"""
    fields = [int(field) for field in Path("/sys/block", device, "stat").read_text().split()]
    return fields[4], fields[6], fields[15]


def under_way(device: str) -> int:
    """How many requests a device is working on."""
    return sum(int(field) for field in Path("/sys/block", device, "inflight").read_text().split())


def wait_until_still(device: str, deadline: float) -> tuple[int, int, int]:
    """Wait for the requests under way; what the device has done until then."""
    before = written(device)
    while True:
        time.sleep(STILL_S)
        now = written(device)
        if now == before and under_way(device) == 0:
            return now
        before = now
        if time.monotonic() > deadline:
            raise DiskFailed(f"{device} goes on writing though everybody is stopped")


def run(*command: str) -> str:
    """Run a command and return what it printed. Raises DiskFailed with what it complained of."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    if ended.returncode != 0:
        raise DiskFailed(f"{' '.join(command)}: {ended.stderr.strip()}")
    return ended.stdout
