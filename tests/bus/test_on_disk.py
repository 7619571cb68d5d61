"""Files that are replaced in one step. That they are there after a power cut is shown in tests/faults/test_disk.py."""

import stat
from pathlib import Path

import pytest

from bus import on_disk


def test_a_file_is_made_with_its_permissions_and_replaced_whole(tmp_path: Path) -> None:
    on_disk.write(tmp_path / "key", b"first")
    on_disk.write(tmp_path / "key", b"second", 0o640)
    assert (tmp_path / "key").read_bytes() == b"second"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_one_that_is_there_stays_where_it_shall_not_be_replaced(tmp_path: Path) -> None:
    on_disk.write(tmp_path / "key", b"first", replace=False)
    with pytest.raises(FileExistsError):
        on_disk.write(tmp_path / "key", b"second", replace=False)
    assert (tmp_path / "key").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_what_is_removed_must_have_been_there(tmp_path: Path) -> None:
    on_disk.write(tmp_path / "key", b"first")
    on_disk.remove(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        on_disk.remove(tmp_path / "key")
