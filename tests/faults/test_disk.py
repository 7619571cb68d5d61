"""The disk of the power cuts: what was not synced is not on it, what was synced is, and nothing of it stays behind."""

import os
from pathlib import Path

import pytest

from bus import on_disk
from tests.faults import disk

pytestmark = pytest.mark.skipif(disk.missing() is not None, reason=disk.missing() or "")
SIZE_BYTES = 64 * 1024 * 1024
TEXT = b"said " * 1000


@pytest.fixture(params=[disk.Disk, disk.CachedDisk])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> disk.Disk:
    kind: type[disk.Disk] = request.param
    return kind(tmp_path / "disk").make(SIZE_BYTES)


def after_a_cut(made: disk.Disk, tmp_path: Path) -> dict[str, bytes]:
    """What is in the files of a disk whose power was cut now."""
    copy = made.copied(tmp_path / "copy")
    with copy.mounted(tmp_path / "again"):
        return {path.name: path.read_bytes() for path in (tmp_path / "again").rglob("*") if path.is_file()}


def test_what_was_synced_is_there_and_what_was_not_is_gone(made: disk.Disk, tmp_path: Path) -> None:
    with made.mounted(tmp_path / "at") as at:
        (at / "unsynced").write_bytes(TEXT)
        with (at / "synced").open("wb") as file:
            file.write(TEXT)
            file.flush()
            os.fsync(file.fileno())
        with (at / "overwritten").open("wb") as file:
            file.write(TEXT)
        found = after_a_cut(made, tmp_path)
        assert found["synced"] == TEXT
        assert found.get("unsynced", b"") == b""
        assert found.get("overwritten", b"") == b""
        assert (at / "unsynced").read_bytes() == TEXT  # the disk itself goes on


def test_what_is_said_to_be_on_disk_is_there_and_what_was_removed_is_not(made: disk.Disk, tmp_path: Path) -> None:
    with made.mounted(tmp_path / "at") as at:
        for name in ("new", "replaced", "removed"):
            on_disk.write(at / name, b"old")
        on_disk.write(at / "replaced", TEXT)
        on_disk.remove(at / "removed")
        (at / "tree").mkdir()
        (at / "tree" / "leaf").write_bytes(TEXT)
        on_disk.sync_tree(at / "tree")
        assert after_a_cut(made, tmp_path) == {"new": b"old", "replaced": TEXT, "leaf": TEXT}


def test_a_disk_with_a_cache_loses_what_was_handed_down_without_a_flush(tmp_path: Path) -> None:
    found = {}
    for kind in (disk.Disk, disk.CachedDisk):
        made = kind(tmp_path / kind.__name__).make(SIZE_BYTES)
        with made.mounted(tmp_path / "at") as at:
            descriptor = os.open(at / "file", os.O_RDWR | os.O_CREAT)
            os.pwrite(descriptor, b"a" * 4096, 0)
            os.fsync(descriptor)
            os.pwrite(descriptor, b"b" * 4096, 0)
            disk.handed_down(descriptor)
            found[kind] = after_a_cut(made, tmp_path)["file"][:1]
            os.close(descriptor)
    assert found == {disk.Disk: b"b", disk.CachedDisk: b"a"}


def test_a_disk_that_was_let_go_leaves_no_mount_and_no_device(made: disk.Disk, tmp_path: Path) -> None:
    def fails() -> None:
        with made.mounted(tmp_path / "at") as at:
            raise ZeroDivisionError(os.path.ismount(at))

    with pytest.raises(ZeroDivisionError, match="True"):
        fails()
    assert not (tmp_path / "at").exists()
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert str(tmp_path) not in disk.run("losetup", "--list", "--output", "BACK-FILE")
