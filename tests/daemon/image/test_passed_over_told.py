"""Tests for daemon.image.passed_over: what status, metrics and check-config tell of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.cli import main
from daemon.health.health import Health
from daemon.health.metrics import Metrics
from daemon.image.passed_over import PassedOver, PassedOverCount, Reason, suffix_of
from daemon.intake.rescan import Rescan
from daemon.operator import folder_preview as looking
from daemon.operator.folder_preview import preview_folder
from edge.image_folders.names import SYSTEM_NAMES
from tests.daemon.image.system_folders import put, root
from tests.support.site import Site
from tests.support.waiting import until


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
