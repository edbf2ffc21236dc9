"""Tests for `edge-daemon drift`: what it shows beside a running daemon and without one."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from daemon.cli import main
from daemon.journal.journal import open_journal
from daemon.journal.streams import HOUR_S
from tests.daemon.drift.shifting import find_blue_strange
from tests.daemon.journal.images import BUNDLE, verdicts
from tests.daemon.service_site import once
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

SVG = "{http://www.w3.org/2000/svg}"


def run(site: Site, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["drift", "--config", str(site.config_path), *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def judge(site: Site, shifts: list[float]) -> None:
    """Let the site's journal conclude images with these shifts."""
    (site.folder / "state").mkdir(exist_ok=True)
    with closing(open_journal(site.folder / "state")) as journal:
        root = journal.serve(site.export)
        journal.conclude(verdicts(journal, shifts, root=root))


def execute(site: Site, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(site.folder / "state" / "journal.sqlite3")) as db:
        db.execute(statement, values)
        db.commit()


def test_drift_without_a_journal_says_so(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(site, capsys)
    assert (code, out) == (6, "")
    assert "no daemon has used this state_dir yet" in err
    assert err.count("\n") == 1


def test_drift_with_a_bundle_without_reference_says_what_to_do(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("S1/1/a.jpg", colour_jpeg("red"))
    once(site)
    code, out, _ = run(site, capsys)
    assert code == 0
    assert "no cell has been judged yet" in out
    assert "has no reference of its laboratory" in out.splitlines()[-1]


@pytest.mark.parametrize("manifest", ["{", "[]", '{"artefacts": 3}', None])
def test_drift_whose_bundle_cannot_be_read_says_that_no_cell_was_judged(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], manifest: str | None
) -> None:
    judge(site, [])
    site.settings["bundle"] = str(tmp_path / "other.edge")
    if manifest is not None:
        (tmp_path / "other.edge").mkdir()
        (tmp_path / "other.edge" / "manifest.json").write_text(manifest)
    code, out, _ = run(site, capsys)
    assert code == 0
    assert "none has been" in out.splitlines()[-1]


def test_drift_shows_an_alarm_and_the_share_that_is_unlike(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(site, [0.0] * 30 + [4.0] * 10)
    code, out, _ = run(site, capsys)
    assert code == 0
    heading, row, _, state, *_ = out.splitlines()
    assert heading.split()[:5] == ["watch", "cells", "shift", "unlike", "alarms"]
    assert row.split()[:5] == ["watch[0]", "40", "+1.00", "25.0%", "1"]
    assert row.split()[5] == "·" * 27 + "▄"
    assert "DIFFERENT from the laboratory's since " in state
    assert "(10 cells)" in state


def test_picture_is_svg_that_needs_no_other_file_and_marks_the_alarm(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(site, [0.0] * 30 + [4.0] * 10)
    target = tmp_path / "drift.svg"
    code, out, _ = run(site, capsys, "--out", str(target))
    assert (code, out.splitlines()[-1]) == (0, f"written: {target}")
    root = ET.fromstring(target.read_bytes())  # noqa: S314 - made by this test
    assert root.tag == f"{SVG}svg"
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert str(site.export) in texts
    assert texts.count("▲") == 1
    (title,) = {element.text for element in root.iter(f"{SVG}title")}
    assert title is not None
    assert title.endswith("40 cells, mean shift +1.00, 25.0% unlike the laboratory's, alarm")
    assert re.findall(rb"(?:href|src|url)\b", target.read_bytes()) == []


def test_picture_of_several_weeks_has_a_dot_a_day_and_of_one_week_an_hour(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(site, [])
    noon = int(time.time() // 86400) * 24 - 36
    for hour in (noon, noon + 1):
        row = (1, hour, BUNDLE, 5, 0.5, 5.0, 0, 0)
        execute(site, "INSERT INTO stream_hour VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row)
    dots = {}
    for weeks in ("1", "13"):
        target = tmp_path / f"{weeks}.svg"
        assert run(site, capsys, "--weeks", weeks, "--out", str(target))[0] == 0
        root = ET.fromstring(target.read_bytes())  # noqa: S314 - made by this test
        dots[weeks] = len(list(root.iter(f"{SVG}circle")))
    assert dots == {"1": 2, "13": 1}


def test_picture_marks_where_another_bundle_began(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(site, [])
    hour = int(time.time() // HOUR_S)
    for before, bundle in ((48, BUNDLE), (47, "b" * 64), (46, "b" * 64)):
        row = (1, hour - before, bundle, 5, 0.5, 5.0, 0, 0)
        execute(site, "INSERT INTO stream_hour VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row)
    target = tmp_path / "drift.html"
    assert run(site, capsys, "--weeks", "1", "--out", str(target))[0] == 0
    page = target.read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert page.count("new bundle") == 1


def test_picture_of_a_folder_with_odd_characters_is_well_formed(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = site.folder / "<a>&\x07\"'"
    folder.mkdir()
    site.settings["watch"] = [{"folder": str(folder)}]
    judge(site, [])
    target = tmp_path / "drift.svg"
    assert run(site, capsys, "--out", str(target))[0] == 0
    root = ET.fromstring(target.read_bytes())  # noqa: S314 - made by this test
    shown = [element.text for element in root.iter(f"{SVG}text") if element.text]
    assert any(text.endswith("<a>&\\x07\"'") for text in shown)


def test_picture_never_replaces_a_file_unless_it_is_told_to(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(site, [0.0])
    target = tmp_path / "drift.svg"
    target.write_text("mine")
    code, _, err = run(site, capsys, "--out", str(target))
    assert (code, target.read_text()) == (2, "mine")
    assert "--overwrite" in err
    assert run(site, capsys, "--out", str(target), "--overwrite")[0] == 0
    assert target.read_text() != "mine"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--out", "drift.png"], "give a name that ends in .svg or .html"),
        (["--folder", "elsewhere"], "is not watched; watched are: "),
    ],
)
def test_wrong_option_is_one_line(
    site: Site, capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    judge(site, [0.0])
    code, _, err = run(site, capsys, *words)
    assert code == 2
    assert text in err
    assert err.count("\n") == 1


def test_damaged_state_and_hours_are_said_and_the_rest_is_shown(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(site, [0.0] * 5)
    execute(site, "UPDATE stream SET drift = '{'")
    code, out, _ = run(site, capsys)
    assert code == 0
    assert "the stored drift is damaged; it begins anew with the next cell" in out
    judge(site, [0.0] * 5)
    execute(site, "UPDATE stream_hour SET cells = 0")
    code, out, _ = run(site, capsys)
    assert "; 1 hour left out as damaged" in out


def test_acknowledged_alarm_is_over_and_begins_again_where_images_still_differ(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(site, [4.0] * 9)
    code, out, _ = run(site, capsys, "--acknowledge")
    assert code == 0
    assert out.splitlines()[0] == f"acknowledged, and watched anew: {site.export}"
    assert "watched anew, no cell has been judged since" in out
    assert run(site, capsys, "--acknowledge")[1].startswith("there is no alarm to acknowledge\n")
    judge(site, [4.0] * 9)
    assert "DIFFERENT" in run(site, capsys)[1]


def test_acknowledged_alarm_is_over_for_the_running_daemon(
    site: Site,
    colour_jpeg: Jpeg,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    find_blue_strange(monkeypatch)
    with site.running():
        for n in range(9):
            site.add(f"S1/1/{n}.jpg", colour_jpeg("blue", seed=n))
        until(lambda: "DIFFERENT" in run(site, capsys)[1])
        until(lambda: [row[0] for row in site.outcomes().values()] == ["done"] * 9)
        assert "acknowledged" in run(site, capsys, "--acknowledge", "--folder", str(site.export))[1]
        site.add("S2/1/red.jpg", colour_jpeg("red"))
        until(lambda: any("a person acknowledged" in line for line in caplog.messages))
        site.add("S2/1/next.jpg", colour_jpeg("red", seed=7))
        until(lambda: site.has_sidecar("S2/1/next.jpg"))
    assert site.sidecar("S2/1/next.jpg")["drift"] is None


def test_status_has_a_line_for_each_folder_that_is_watched_for_drift(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(site, [])
    capsys.readouterr()
    main(["status", "--config", str(site.config_path)])
    assert "\ndrift " not in capsys.readouterr().out
    judge(site, [4.0] * 9)
    main(["status", "--config", str(site.config_path)])
    assert "\ndrift     watch[0]: DIFFERENT from the laboratory's since" in capsys.readouterr().out
    main(["status", "--json", "--config", str(site.config_path)])
    (drift,) = json.loads(capsys.readouterr().out)["drift"]
    assert (drift["number"], drift["cells"]) == (0, 9)
    since = datetime.fromisoformat(drift["since"])
    assert abs(time.time() - since.timestamp()) < 60
