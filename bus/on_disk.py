"""Small files that must be there after a power cut: keys, passwords, backups. A leaf module.

What was written lies in the kernel's memory for up to half a minute, also when it was renamed and everybody can read it; until then a power
cut leaves an empty file. What the log acknowledges meanwhile is on disk, and of no use to a mesh that has lost its keys.
"""

import os
import secrets
from pathlib import Path


def write(path: Path, content: bytes, mode: int = 0o600, *, replace: bool = True) -> None:
    """Make a file with these permissions, or replace it, in one step; returned means on disk.

    Whoever reads it finds the old or the new one whole, after a power cut too. Without `replace` one that is there raises FileExistsError.
    """
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        if replace:
            unfinished.replace(path)
        else:
            path.hardlink_to(unfinished)
    finally:
        unfinished.unlink(missing_ok=True)
    sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file that is there; returned means that it does not come back."""
    path.unlink()
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file's content on disk, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Have a folder on disk with everything below it."""
    for path in (folder, *folder.rglob("*")):
        sync(path)
