"""What lies below a watch folder and is no image: left out, counted, told, and named by nobody."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from daemon.config.config import load_config
from daemon.image.passed_over import PassedOver, PassedOverCount, Reason
from daemon.image.watch_folder import WatchFolder
from daemon.intake.hints import HintKind, Hints
from daemon.intake.inotify import InotifyWatch
from daemon.intake.rescan import Rescan
from daemon.intake.walk import image_files
from daemon.startup import opened_service
from edge.errors import ConfigError
from tests.daemon.image.system_folders import put, root
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

IN_SYSTEM_FOLDERS = (
    "S1/@eaDir/IMG1.jpg/SYNOPHOTO_THUMB_XL.jpg",
    "#recycle/S1/IMG0.jpg",
    "@Recycle/S1/IMG0.jpg",
    "S1/@__thumb/IMG1.jpg",
    "#snapshot/GMT-2026.11.25/S1/IMG1.jpg",
    "@Recently-Snapshot/GMT/IMG1.jpg",
    "~snapshot/hourly.0/S1/IMG1.jpg",
    "$RECYCLE.BIN/S-1-5-21/$RABC123.jpg",
    "$Recycle.Bin/S-1-5-21/$RABC123.jpg",
    "recycler/S-1-5-21/Dc1.jpg",
    "System Volume Information/x.jpg",
    "found.000/x.jpg",
    "@GMT-2026.11.25-10.00.00/S1/x.jpg",
    "S1/Previous Versions/x.jpg",
    "lost+found/x.jpg",
    "S1/__MACOSX/S1/x.jpg",
    "Network Trash Folder/x.jpg",
    "TheVolumeSettingsFolder/x.jpg",
    "@tmp/x.jpg",
    "S1/~$IMG1.jpg",
    "@sharesnap/export/GMT+01-2026.11.25/S1/IMG1.jpg",
    "@img_bkp_cache/x.jpg",
    "Recycle Bin/S1/IMG0.jpg",
    "_NAS_Recycle_export/S1/IMG0.jpg",
    "S1/:2e_IMG1.jpg",
    ":2eTemporaryItems/x.jpg",
    "S1/_gsdata_/_saved_/IMG1.jpg",
)


HIDDEN = (".snapshot/x.jpg", ".zfs/snapshot/x.jpg", ".Trash-1000/files/x.jpg", "S1/._x.jpg")


def found(root: WatchFolder) -> set[str]:
    return {os.fsdecode(image.path) for image in image_files(root, lambda *_: None)}


@pytest.mark.parametrize("name", IN_SYSTEM_FOLDERS + HIDDEN)
def test_system_folders_hold_no_images_whichever_way_they_come(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, "S1/a.jpg")
    watched = root(tmp_path)
    assert found(watched) == {"S1/a.jpg"}
    assert not watched.has_image(name.encode())
    scan = Rescan(watched)
    scan.next_chunk(30.0)
    # A hint names the folder that was made first.
    assert not watched.has_folder(name.encode())


@pytest.mark.parametrize(
    "name", ["S1#recycled/a.jpg", "eaDir/a.jpg", "S1/snapshot.jpg", "@S/a.jpg"]
)
def test_names_that_only_resemble_a_system_folders_are_images(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert found(root(tmp_path)) == {name}


def test_exclude_leaves_out_files_and_folders_of_any_depth_and_case(tmp_path: Path) -> None:
    put(tmp_path, "S1/a.jpg", "S1/Overview_1.jpg", "S1/QC/b.jpg", "qc/c.jpg", "S1/qc2/d.jpg")
    watched = root(tmp_path, "overview*", "QC")
    assert found(watched) == {"S1/a.jpg", "S1/qc2/d.jpg"}
    assert not watched.has_image(b"S1/qc/x.jpg")
    assert watched.passes_over("qc") is Reason.EXCLUDED


def test_watch_new_folder_that_is_left_out_gives_no_hint(tmp_path: Path) -> None:
    hints = Hints()
    watcher = InotifyWatch(root(tmp_path, "qc"), hints, poll="never")
    try:
        assert watcher.keep_watching()
        for name in ("@eaDir", "qc", ".snapshot", "S1"):
            (tmp_path / name).mkdir()
        seen: list[tuple[bytes, HintKind]] = []

        def has_seen_the_last() -> bool:
            seen.extend((hint.path, hint.kind) for hint in hints.take(0.02))
            return (b"S1", HintKind.NEW_FOLDER) in seen

        until(has_seen_the_last)
    finally:
        watcher.stop()
    assert seen == [(b"S1", HintKind.NEW_FOLDER)]


def test_run_images_recorded_before_they_were_excluded_get_no_outcome(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.settings["watch"] = [{"folder": "export"}]
    for name in ("a.jpg", "QC/b.jpg"):
        site.add(name, colour_jpeg("red"))
    with opened_service(site.config(), is_once=True) as service:
        pass
    del service
    with closing(sqlite3.connect(site.folder / "state" / "journal.sqlite3")) as db:
        for name in ("a.jpg", "QC/b.jpg"):
            status = (site.export / name).stat()
            facts = (1, name.encode(), status.st_size, status.st_mtime_ns, 0.0)
            columns = "root, path, size_bytes, mtime_ns, recorded_at"
            db.execute(f"INSERT INTO image ({columns}) VALUES (?, ?, ?, ?, ?)", facts)  # noqa: S608
        db.commit()
    site.settings["watch"] = [{"folder": "export", "exclude": "qc"}]
    with site.running():
        until(lambda: site.outcomes().get("QC/b.jpg", ("",))[0] == "gone")
        until(lambda: site.has_sidecar("a.jpg"))
    assert not site.has_sidecar("QC/b.jpg")
    site.settings["watch"] = [{"folder": "export"}]
    with site.running():
        until(lambda: site.has_sidecar("QC/b.jpg"))


def test_load_exclude_with_a_slash_is_refused(tmp_path: Path) -> None:
    text = "bundle: b\nstate_dir: s\nwatch: [{folder: a, exclude: [x, 'S1/qc']}]"
    (tmp_path / "edge.yaml").write_text(text)
    with pytest.raises(
        ConfigError, match=r"watch\[0\].exclude \['x', 'S1/qc'\] has a /; give file"
    ):
        load_config(tmp_path / "edge.yaml")


class _Entry:
    """An entry that notes when the file system is asked about it."""

    asked: ClassVar[list[bytes]] = []

    def __init__(self, entry: os.DirEntry[bytes]) -> None:
        self.name, self._entry = entry.name, entry

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        assert not follow_symlinks
        return self._entry.is_dir(follow_symlinks=False)

    def is_symlink(self) -> bool:
        return self._entry.is_symlink()

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        self.asked.append(self.name)
        return self._entry.stat(follow_symlinks=follow_symlinks)


def test_scan_asks_the_file_system_of_images_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "S1/a.tif", "S1/b.jpg", "@eaDir/x.jpg", "S1/.c.jpg", "S1/d")
    scandir = os.scandir
    listed: list[bytes] = []

    @contextmanager
    def noting(folder: bytes) -> Iterator[Iterator[_Entry]]:
        listed.append(folder)
        with scandir(folder) as entries:
            yield map(_Entry, entries)

    monkeypatch.setattr("daemon.intake.walk.os.scandir", noting)
    count = PassedOverCount()
    files = image_files(root(tmp_path), lambda *_: None, on_passed_over=count.add)
    assert [image.path for image in files] == [b"S1/b.jpg"]
    assert count.reasons == {"other_name": 2, "hidden": 1, "system": 1}
    assert _Entry.asked == [b"b.jpg"]
    assert listed == [os.fsencode(tmp_path) + b"/", os.fsencode(tmp_path / "S1")]


def test_quick_scan_leaves_the_counts_of_the_whole_scan(tmp_path: Path) -> None:
    now_s = 0.0
    put(tmp_path, "a.tif")
    scan = Rescan(root(tmp_path), clock=lambda: now_s)
    scan.next_chunk(30.0, quick_s=1.0)
    now_s = 2.0
    put(tmp_path, "b.tif")
    scan.next_chunk(30.0, quick_s=1.0)
    assert scan.passed_over == PassedOver({"other_name": 1}, {".tif": 1})
