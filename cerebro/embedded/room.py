"""Whether a disk has room. On one that is full nothing is started again: it would only end again, until it is given up for good."""

import shutil
from pathlib import Path
from typing import Final

ROOM_BYTES_MIN: Final = 32 * 1024 * 1024
"""What must be free: two files of PostgreSQL's log, without which it does not start."""


def has_room(folder: Path) -> bool:
    """Whether the disk that holds `folder` has room for something to be started on it."""
    return shutil.disk_usage(folder).free >= ROOM_BYTES_MIN
