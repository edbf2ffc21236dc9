"""Tests for `edge-daemon status` and `retry` on what the journal holds."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing

import pytest

from tests.daemon.commands import run
from tests.daemon.drift.shifting import find_blue_strange
from tests.support.images import Jpeg
from tests.support.site import ROOT, Site
from tests.support.waiting import until


def test_status_shows_counts_and_rejections(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("S1/1/a.jpg", colour_jpeg("red"))
    site.add("S1/1/b.jpg", b"", age_s=3600)
    run(site, "once")
    capsys.readouterr()
    assert run(site, "status", "--json") == 0
    fields = json.loads(capsys.readouterr().out)
    assert fields["outcomes"] == {"labelled": 1, "rejected": 1}
    assert fields["labels"] == {"red": 1}
    assert fields["oldest_waiting"] is None
    assert fields["rejections"][0]["reason"] == "empty"
    assert fields["rejections"][0]["file"].endswith("/S1/1/b.jpg")
    assert run(site, "status") == 0
    text = capsys.readouterr().out
    assert "nothing waiting" in text
    assert fields["rejections"][0]["log_id"] in text


def test_status_and_once_say_how_many_images_are_unlike_the_laboratorys(
    site: Site,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    find_blue_strange(monkeypatch)
    for name, colour in (("a", "blue"), ("b", "red"), ("c", "red")):
        site.add(f"S1/1/{name}.jpg", colour_jpeg(colour))
    assert run(site, "once") == 0
    assert ", 1 of them unlike the laboratory's" in capsys.readouterr().out
    assert run(site, "status") == 0
    text = capsys.readouterr().out
    assert "; 1 of 3 cells unlike them today" in " ".join(text.split())
    assert "older ones" not in text
    assert run(site, "status", "--json") == 0
    (drift,) = json.loads(capsys.readouterr().out)["drift"]
    assert (drift["judged_today"], drift["unfamiliar_today"]) == (3, 1)


def test_status_of_an_alarm_says_what_to_look_at_in_80_columns(
    site: Site,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    find_blue_strange(monkeypatch)
    for number in range(12):
        site.add(f"S1/1/{number}.jpg", colour_jpeg("blue"))
    run(site, "once")
    capsys.readouterr()
    assert run(site, "status") == 0
    lines = capsys.readouterr().out.splitlines()
    text = " ".join(" ".join(lines).split())
    assert "12 of 12 cells unlike them today" in text
    assert "Look at new images beside older ones" in text
    assert [line for line in lines if len(line) > 80 and "--config" not in line] == []


def test_status_before_the_first_start_says_so(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, "status") == 6
    assert "no daemon has used" in capsys.readouterr().err


def test_status_counts_images_of_folders_that_are_no_longer_configured_apart(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.settings["watch"] = [{"folder": "old"}]
    (site.folder / "old").mkdir()
    run(site, "once")
    with closing(sqlite3.connect(site.folder / "state" / "journal.sqlite3")) as db:
        insert = "INSERT INTO image (root, path, size_bytes, mtime_ns, recorded_at)"
        db.execute(f"{insert} VALUES (1, x'61', 1, 1, 1)")
        db.commit()
    site.settings["watch"] = [{"folder": "export"}]
    site.add("a.jpg", colour_jpeg("red"))
    run(site, "once")
    capsys.readouterr()
    assert run(site, "status", "--json") == 0
    fields = json.loads(capsys.readouterr().out)
    assert (fields["states"], fields["oldest_waiting"]) == ({"done": 1}, None)
    assert fields["waiting_elsewhere"] == 1
    assert run(site, "status") == 0
    assert "waiting in folders that are no longer configured: 1 image\n" in capsys.readouterr().out


@pytest.mark.usefixtures("_no_superuser")
def test_status_says_what_holds_images_up(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("a.jpg", colour_jpeg("red")).chmod(0)
    with site.running():
        until(lambda: run(site, "status") == 0 and "unreadable" in capsys.readouterr().out)
    assert site.outcomes()["a.jpg"][0] == "waiting"


def test_status_whose_reader_has_gone_ends_quietly(site: Site, colour_jpeg: Jpeg) -> None:
    site.add("a.jpg", colour_jpeg("red"))
    run(site, "once")
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        site.command("status", "--json"),
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (process.returncode, process.stderr) == (0, "")


def test_retry_puts_rejected_images_or_one_back_and_says_how_many(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, "retry") == 6
    good = site.add("S1/1/good.jpg", colour_jpeg("red", side_px=256))
    site.settings["limits"] = {"max_bytes": 10_000}
    run(site, "once")
    del site.settings["limits"]
    capsys.readouterr()
    assert run(site, "retry", "--rejected") == 0
    assert capsys.readouterr().out == "to be labelled again: 1\n"
    # It keeps its outcome until it has another one.
    assert site.outcomes()["S1/1/good.jpg"] == ("waiting", "rejected", None, "too_large")
    assert run(site, "retry", "--image", str(good)) == 2
    assert "has no outcome yet" in capsys.readouterr().err
    assert run(site, "once") == 0
    assert site.sidecar("S1/1/good.jpg")["label"] == "red"
    assert run(site, "retry", "--image", str(good)) == 0
    assert site.outcomes()["S1/1/good.jpg"][0] == "waiting"
    assert run(site, "retry", "--image", "/elsewhere/a.jpg") == 2
    assert "is in no watch folder" in capsys.readouterr().err
