from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.errors import StorageError
from edge.files import atomic
from edge.files.temporary import remove_leftovers


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_write_file_over_existing_replaces_whole_content(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    atomic.write_file(target, b"old and longer")
    atomic.write_file(target, b"new")
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["result.json"]


def test_write_file_over_what_is_no_file_fails_and_leaves_it(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for target in (pipe, folder):
        with pytest.raises(StorageError, match="exists and is not a regular file"):
            atomic.write_file(target, b"x")
    assert (pipe.is_fifo(), folder.is_dir(), names(tmp_path)) == (True, True, ["folder", "pipe"])


def test_write_file_into_missing_folder_fails_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="could not write"):
        atomic.write_file(tmp_path / "absent" / "x", b"1")
    assert names(tmp_path) == []


def test_write_file_when_rename_fails_removes_temporary(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    (target / "child").touch()
    with pytest.raises(StorageError):
        atomic.write_file(target, b"1")
    assert names(tmp_path) == ["taken"]


def test_write_file_gives_permissions_of_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        atomic.write_file(tmp_path / "x", b"1")
    finally:
        os.umask(old)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_write_file_with_name_of_255_bytes_succeeds(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    atomic.write_file(target, b"1")
    assert target.read_bytes() == b"1"


def test_new_directory_when_block_fails_leaves_nothing(tmp_path: Path) -> None:
    def fill_and_fail() -> None:
        with atomic.new_directory(tmp_path / "a.edge") as folder:
            (folder / "part").write_bytes(b"1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill_and_fail()
    assert names(tmp_path) == []


def test_new_directory_over_existing_is_refused_and_keeps_it(tmp_path: Path) -> None:
    target = tmp_path / "a.edge"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(StorageError, match="exists already"), atomic.new_directory(target):
        pass
    assert names(target) == ["old"]


def test_new_directory_with_overwrite_replaces_everything(tmp_path: Path) -> None:
    target = tmp_path / "a.edge"
    target.mkdir()
    (target / "old").touch()
    with atomic.new_directory(target, overwrite=True) as folder:
        (folder / "new").touch()
    assert names(target) == ["new"]
    assert names(tmp_path) == ["a.edge"]


def test_remove_leftovers_deletes_only_old_temporary_files(tmp_path: Path) -> None:
    old, young = tmp_path / ".edge-1-aa.tmp", tmp_path / ".edge-1-bb.tmp"
    other = tmp_path / "image.tmp"
    for path in (old, young, other):
        path.touch()
    os.utime(old, (1, 1))
    os.utime(other, (1, 1))
    assert remove_leftovers(tmp_path, older_than_s=60) == 1
    assert names(tmp_path) == [".edge-1-bb.tmp", "image.tmp"]


def test_make_folder_where_a_folder_above_may_not_be_searched_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", refused)
        with pytest.raises(StorageError, match=r"could not create .*: Permission denied"):
            atomic.make_folder(tmp_path / "a")
    atomic.make_folder(tmp_path / "a")
    assert (tmp_path / "a").is_dir()


def test_write_files_of_one_batch_have_names_of_their_own_and_whole_contents(
    tmp_path: Path,
) -> None:
    contents = {tmp_path / f"{number}.json": os.urandom(3000) for number in range(150)}

    atomic.write_files(contents.items())

    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == contents
