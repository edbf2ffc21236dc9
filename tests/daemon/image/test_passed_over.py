"""What lies below a watch folder and is no image: left out, counted, told, and named by nobody."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.cli import main
from daemon.config.config import load_config
from daemon.health.health import Health
from daemon.health.metrics import Metrics
from daemon.image.passed_over import PassedOver, PassedOverCount, Reason, suffix_of
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.intake.hints import HintKind, Hints
from daemon.intake.inotify import InotifyWatch
from daemon.intake.rescan import Rescan, image_files
from daemon.operator import folder_preview as looking
from daemon.operator.folder_preview import preview_folder
from daemon.startup import opened_service
from edge.errors import ConfigError
from edge.image_folders.names import SYSTEM_NAMES
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


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def root(folder: Path, *exclude: str) -> WatchFolder:
    regex = names_regex(exclude) if exclude else None
    return WatchFolder(1, folder, folder, names_regex(("*.jpg",)), None, regex)


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


def test_suffixes_are_named_where_everybody_has_them_and_hold_no_name() -> None:
    assert suffix_of(b"IMG.TIF") == ".tif"
    assert suffix_of(b"IMG.jpg ") == ".jpg and a blank or dot"
    assert suffix_of(b"IMG") == "no suffix"
    assert suffix_of(b"Lab.Mueller Hans") == "another suffix"
    assert suffix_of(b"1.2.840.113619") == "another suffix"
    assert suffix_of(b"\xff\xfe.bmp") == ".bmp"


def test_count_holds_no_more_for_many_names_than_for_few() -> None:
    count = PassedOverCount()
    for number in range(5000):
        count.add(Reason.OTHER_NAME, f"x.s{number}".encode())
    assert count.result() == PassedOver({"other_name": 5000}, {"another suffix": 5000})


def test_scan_counts_what_it_passes_over_and_names_image_suffixes_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "S1/a.jpg", "S1/b.tif", "S1/c.BMP", "S1/d.tif", "S1/e.jpg ", "S1/f.txt", "S1/g")
    put(tmp_path, "S1/a.jpg.json", "S1/.h.jpg", "@eaDir/i.jpg", "QC/j.jpg", "Secret.x1", "k.jpeg")
    (tmp_path / "link").symlink_to(tmp_path / "S1")
    scan = Rescan(root(tmp_path, "qc"))
    scan.next_chunk(30.0)
    passed = scan.passed_over
    assert passed is not None
    assert passed.reasons == {
        "other_name": 8,
        "sidecar": 1,
        "hidden": 1,
        "system": 1,
        "excluded": 1,
        "link": 1,
    }
    others = (".bmp", ".jpeg", ".jpg and a blank or dot", ".txt", "another suffix", "no suffix")
    assert list(passed.suffixes.items()) == [(".tif", 2), *((suffix, 1) for suffix in others)]
    (line,) = [record.getMessage() for record in caplog.records]
    assert "files that look like images are left out: .bmp, .tif cannot be read" in line
    assert "add *.jpeg to watch[].pattern" in line
    assert "rename files that have a blank or a dot" in line
    assert "S1" not in line.replace(str(tmp_path), "")
    scan.request()
    scan.next_chunk(30.0)
    assert len(caplog.records) == 1
    put(tmp_path, "n.gif")
    scan.request()
    scan.next_chunk(30.0)
    assert len(caplog.records) == 2
    assert ".gif" in caplog.records[1].getMessage()


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

    monkeypatch.setattr("daemon.intake.rescan.os.scandir", noting)
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


def test_status_and_metrics_of_a_running_daemon_tell_what_is_passed_over(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("S1/1/Mueller.tif", "S1/1/b.bmp", "S1/1/c.xyz", "S1/@eaDir/d.jpg"):
        site.add(name, b"x")
    process = site.start("run")
    try:
        health = site.folder / "state" / "health.json"

        def has_counted() -> bool:
            return health.exists() and '"passed_over"' in health.read_text()

        until(has_counted, timeout_s=30.0)
        capsys.readouterr()
        assert main(["status", "--config", str(site.config_path)]) == 0
        text = " ".join(capsys.readouterr().out.split())
    finally:
        process.terminate()
        _, log = process.communicate(timeout=30)
    assert "3 of other names (.bmp 1, .tif 1, another suffix 1), 1 of the system" in text
    assert "Images that are left out: .bmp, .tif cannot be read: export JPEG or PNG." in text
    assert log.count("look like images") == 1
    assert "Mueller" not in text + log + health.read_text()


def test_metrics_tell_what_is_passed_over_by_reason() -> None:
    health = Health()
    passed = PassedOver({"other_name": 3}, {".tif": 3})
    health.set_watch(0, is_there=True, has_events=True, passed_over=passed)
    text = Metrics(health, [Path("/srv/a")]).text().decode()
    counts = {
        sample.labels["reason"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "microscope_edge_passed_over"
    }
    assert counts == {**dict.fromkeys(map(str, Reason), 0.0), "other_name": 3.0}


def test_check_config_names_an_export_without_a_readable_image(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        site.add(f"S1/1/{number}.tiff", b"II*\x00")
    assert main(["check-config", "--config", str(site.config_path)]) == 0
    out = capsys.readouterr().out
    assert "left out: 3 of other names (.tiff 3)" in out
    assert "WARNING: files that look like images are left out: .tiff cannot be read" in out
    site.settings["watch"] = [{"folder": "export", "pattern": ["*.TIF*"], "exclude": ["qc"]}]
    assert main(["check-config", "--config", str(site.config_path)]) == 0
    out = capsys.readouterr().out
    assert "WARNING: *.TIF* names files that are neither JPEG nor PNG" in out
    assert "without qc" in out


def test_look_around_a_folder_without_end_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        site.add(f"S1/1/{number}.txt", b"x")
    (watch,) = site.config().watch
    assert preview_folder(watch).is_whole
    monkeypatch.setattr(looking, "_MAX_PASSED_OVER", 5)
    looked = preview_folder(watch)
    assert (looked.passed_over.reasons, looked.is_whole) == ({"other_name": 5}, False)
    monkeypatch.setattr(looking, "_MAX_S", -1.0)
    assert preview_folder(watch) == looking.FolderPreview([], PassedOver({}, {}), is_whole=False)


def test_system_names_are_documented() -> None:
    docs = (Path(__file__).parents[3] / "docs").rglob("*.md")
    text = "".join(path.read_text() for path in docs)
    assert [name for name in SYSTEM_NAMES if f"`{name}`" not in text] == []
