from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from edge.files.safe_open import NotRegularError, TooLargeError, open_regular, read_bounded


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(b"secret")
    path.symlink_to("elsewhere")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def test_read_bounded_gives_the_content_up_to_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"four")
    assert read_bounded(path, 4) == b"four"
    with pytest.raises(TooLargeError, match="4 bytes, at most 3 are read"):
        read_bounded(path, 3)


def test_read_bounded_of_sparse_file_does_not_read_it(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(20 << 30)
    with pytest.raises(TooLargeError, match="21474836480 bytes"):
        read_bounded(path, 1000)


@pytest.mark.parametrize("make", [Path.mkdir, make_fifo, make_link, make_socket])
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT])
def test_open_regular_of_something_else_is_refused(
    tmp_path: Path, make: object, flags: int
) -> None:
    path = tmp_path / "name"
    assert callable(make)
    make(path)
    with pytest.raises(NotRegularError, match="not a regular file"):
        open_regular(path, flags)


def test_open_regular_of_device_is_refused() -> None:
    with pytest.raises(NotRegularError):
        open_regular("/dev/zero")


def test_open_regular_follows_a_link_where_asked_to(tmp_path: Path) -> None:
    make_link(tmp_path / "link")
    assert read_bounded(tmp_path / "link", 100, follows_links=True) == b"secret"
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(NotRegularError):
        open_regular(tmp_path / "link", follows_links=True)


def test_open_regular_creates_in_an_open_folder(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    descriptor = open_regular("new", os.O_RDWR | os.O_CREAT, 0o640, dir_fd=folder)
    os.write(descriptor, b"x")
    for opened in (descriptor, folder):
        os.close(opened)
    assert (tmp_path / "new").read_bytes() == b"x"
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "missing")


def test_open_regular_of_refused_file_leaves_no_descriptor(tmp_path: Path) -> None:
    make_fifo(tmp_path / "name")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names of descriptors
    for _ in range(3):
        with pytest.raises(NotRegularError):
            open_regular(tmp_path / "name")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
