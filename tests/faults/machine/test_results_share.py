"""The drop folder on a real SMB share, which an importer watches on the server."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.failpoints import VARIABLE
from tests.support.machine.mounts import Mount, tmpfs
from tests.support.machine.samba import CLIENT_PORT, Samba, mounted
from tests.support.waiting import is_listened_to, until
from tests.support.watched_site import WatchedSite


class Importer(threading.Thread):
    """Reads each file as soon as it sees its name, and again and again."""

    def __init__(self, folder: Path) -> None:
        super().__init__(name="importer")
        self._folder = folder
        self._is_ended = threading.Event()
        self.seen: dict[str, bytes] = {}
        self.faults: list[str] = []

    def run(self) -> None:
        while not self._is_ended.wait(0.0005):
            for path in self._folder.iterdir():
                if path.name[0] != "." and path.name != "filler":
                    self._take(path)

    def end(self) -> None:
        self._is_ended.set()
        self.join()

    def samples(self) -> list[str]:
        return sorted(json.loads(content)["sample_id"] for content in list(self.seen.values()))

    def _take(self, path: Path) -> None:
        content = path.read_bytes()
        if self.seen.setdefault(path.name, content) != content:
            self.faults.append(f"{path.name} has changed")
        try:
            json.loads(content)
        except ValueError:
            self.faults.append(f"{path.name} was not whole: {len(content)} bytes")


@pytest.fixture
def disk() -> Iterator[Mount]:
    """The server's disk, which the share's guest may enter, unlike pytest's own folders."""
    with tempfile.TemporaryDirectory(prefix="edge-samba-") as name:
        Path(name).chmod(0o755)
        with tmpfs(Path(name) / "served", "size=256k,mode=1777") as disk:
            yield disk


@pytest.fixture
def samba(tmp_path: Path, disk: Mount) -> Iterator[Samba]:
    if is_listened_to(CLIENT_PORT):
        pytest.skip(f"port {CLIENT_PORT} of this machine is taken")
    server = Samba(tmp_path / "samba", disk.folder, port=CLIENT_PORT)
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def importing(folder: Path) -> Iterator[Importer]:
    importer = Importer(folder)
    importer.start()
    try:
        yield importer
    finally:
        importer.end()


def test_importer_on_an_smb_share_gets_each_file_whole_and_once_whatever_the_share_does(
    tmp_path: Path, disk: Mount, samba: Samba
) -> None:
    site = WatchedSite(tmp_path / "site")
    # Time to end the server while half of the third result is written; the first file of all is the
    # note of where the folders are mounted.
    slow = {VARIABLE: "file.half_written=sleep:0.5@4"}
    with mounted(tmp_path) as share, importing(disk.folder) as importer:
        site.settings["targets"][0]["drop"] = str(share)
        with site.watching(slow):
            site.slide("S1")
            site.slide("S2")
            until(lambda: importer.samples() == ["S1", "S2"])
            site.slide("S3")
            until(lambda: [p for p in disk.folder.iterdir() if p.name[0] == "."], poll_s=0.001)
            samba.kill()
            site.await_log("tried until it works")
            assert importer.samples() == ["S1", "S2"]
            samba.start()
            until(lambda: importer.samples() == ["S1", "S2", "S3"], timeout_s=30)

            disk.fill()
            site.slide("S4")
            site.await_log("No space left on device")
            disk.make_room()
            until(lambda: importer.samples() == ["S1", "S2", "S3", "S4"], timeout_s=30)
            until(lambda: site.log.count("sent ") == 4)
        # Once more through all files.
        importer.end()
    assert importer.faults == []
    visible = {path.name for path in disk.folder.iterdir() if path.name[0] != "."}
    assert set(importer.seen) == visible
    assert site.log.count("tried until it works") == site.log.count("all: is back") == 2
    assert not [line for line in site.log.splitlines() if line.startswith("error")]
