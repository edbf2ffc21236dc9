"""The export as a real Samba share of this machine, written by its clients."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.support.machine.samba import Samba


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A laboratory that the share's guest may enter, unlike pytest's own folders."""
    with tempfile.TemporaryDirectory(prefix="edge-samba-") as name:
        Path(name).chmod(0o755)
        made = Lab(Path(name))
        made.export.chmod(0o2777)
        yield made


@pytest.fixture
def samba(lab: Lab, tmp_path: Path) -> Iterator[Samba]:
    server = Samba(tmp_path / "samba", lab.export)
    try:
        server.start()
        yield server
    finally:
        server.close()


def local(folder: Path, lab: Lab, name: str) -> Path:
    """A file on the client's side whose content gives the label that `name` must get."""
    path = folder / f"{len(list(folder.iterdir()))}.bin"
    path.write_bytes(lab.note(name))
    return path


def test_images_that_a_client_puts_renames_and_replaces_get_their_labels(
    lab: Lab, samba: Samba, tmp_path: Path
) -> None:
    files = tmp_path / "client"
    files.mkdir()
    with lab.daemon():
        samba.client(
            "mkdir S1",
            f"put {local(files, lab, 'S1/a.jpg')} S1/a.jpg",
            f"put {local(files, lab, 'S1/B.JPG')} S1/B.JPG",
            # As programs do that write under another name first, or collect a slide in a folder.
            f"put {local(files, lab, 'S1/c.jpg')} S1/c.tmp",
            "rename S1/c.tmp S1/c.jpg",
            "mkdir part",
            f"put {local(files, lab, 'S2/d.jpg')} part/d.tmp",
            "rename part S2",
            "rename S2/d.tmp S2/d.jpg",
        )
        lab.await_done()
        # Never images: a folder's settings and thumbnails, as Windows leaves them.
        samba.client(f"put {files / '0.bin'} S1/Thumbs.db", f"put {files / '0.bin'} S1/desktop.ini")
        lab.add("last.jpg")
        lab.await_done()
    lab.check()
    assert "ERROR" not in lab.log


def test_image_that_a_client_replaces_is_labelled_again(
    lab: Lab, samba: Samba, tmp_path: Path
) -> None:
    files = tmp_path / "client"
    files.mkdir()
    with lab.daemon():
        samba.client("mkdir S1", f"put {local(files, lab, 'S1/a.jpg')} S1/a.jpg")
        lab.await_done()
        other = tmp_path / "other.bin"
        # With bytes behind its end the image has another size and another hash, and its label.
        other.write_bytes(lab.content("S1/a.jpg") + b"\0" * 64)
        samba.client(f"put {other} S1/a.jpg")
        lab.await_outcomes("S1/a.jpg", 2)
    lab.digests["S1/a.jpg"] = hashlib.sha256(other.read_bytes()).hexdigest()
    lab.check_files()
