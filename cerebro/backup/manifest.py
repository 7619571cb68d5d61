"""What is in a backup, and whether it still is. Pure but for reading files."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bus.errors import CerebroError

NAME: Final = "manifest.json"
FORMAT: Final = 1
"""Raised when an older program could not read what is written now."""
CHUNK_BYTES: Final = 1024 * 1024


class Broken(CerebroError):
    """A backup is not what its manifest says."""

    status = 422


class File(msgspec.Struct, frozen=True):
    """A file of the backup."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`position` is the place in the log up to which the tables hold everything; `log_last_seq` how far the log itself reaches."""

    format: int
    version: str
    made_at: str
    prefix: str
    log_incarnation: str
    position: int
    log_first_seq: int
    log_last_seq: int
    revision: str
    """Of the database's schema."""
    rows: dict[str, int]
    """Of each table."""
    hashes: dict[str, str]
    """Of each table that is derived from the log, at `position` (see memory/hashes.py)."""
    streams: list[str]
    files: dict[str, File]


def hashed(path: Path) -> File:
    """Size and SHA-256 of a file, read in pieces."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
            size += len(piece)
    return File(size, digest.hexdigest())


def contents(folder: Path) -> Iterator[str]:
    """Every file but the manifest, as its path within the folder."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != NAME:
            yield name


def write(folder: Path, manifest: Manifest) -> None:
    (folder / NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def read(folder: Path) -> Manifest:
    """Raises `Broken` where there is none that this program understands."""
    try:
        manifest = msgspec.json.decode((folder / NAME).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as e:
        raise Broken(f"{folder} is no backup: {e}") from e
    if manifest.format > FORMAT:
        raise Broken(f"{folder} was made by a later version ({manifest.version}); this one reads format {FORMAT} and before")
    return manifest


def verified(folder: Path) -> Manifest:
    """The manifest, after every file was compared with it. Raises `Broken` with everything that is wrong."""
    manifest = read(folder)
    there = set(contents(folder))
    faults = [f"{name} is missing" for name in sorted(manifest.files.keys() - there)]
    faults += [f"{name} is not of it" for name in sorted(there - manifest.files.keys())]
    faults += [
        f"{name} is not what was written" for name in sorted(there & manifest.files.keys()) if hashed(folder / name) != manifest.files[name]
    ]
    if faults:
        raise Broken(f"{folder}: {'; '.join(faults)}")
    return manifest
