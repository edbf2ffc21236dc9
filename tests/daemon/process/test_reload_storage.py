"""Tests for reloads while the journal is away, or a folder is another daemon's."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon import service_process as lifecycle
from daemon.journal.journal import Journal
from daemon.system.locks import InUseError, mark
from edge.errors import StorageError
from tests.daemon.process.living import living
from tests.daemon.process.reloads import Gate, Told, add_folder, label
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


@contextmanager
def held_by_another(folder: Path) -> Iterator[None]:
    """As by a daemon with another state_dir."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mark(descriptor)
        yield
    finally:
        os.close(descriptor)


def refuse_once(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The journal refuses once; set when it has."""
    has_refused = threading.Event()
    check_writable = Journal.check_writable

    def call(journal: Journal) -> None:
        if not has_refused.is_set():
            has_refused.set()
            raise StorageError("the journal refuses")
        check_writable(journal)

    monkeypatch.setattr(Journal, "check_writable", call)
    monkeypatch.setattr(lifecycle, "_FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(lifecycle, "_BEAT_S", 0.02)
    return has_refused


def test_a_journal_that_comes_back_while_a_check_hangs_is_taken_up(
    site: Site,
    colour_jpeg: Jpeg,
    hung_check: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with living(site) as life:
        label(site, "S1/A/1.jpg", colour_jpeg("red"))
        life.reload()
        assert hung_check.entered.wait(20)
        assert refuse_once(monkeypatch).wait(20)
        label(site, "S1/A/2.jpg", colour_jpeg("blue"))
        later = add_folder(site, "later", colour_jpeg("green"))
        assert not later.exists()


def test_reload_onto_a_folder_that_another_daemon_holds_keeps_the_old_configuration(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture
) -> None:
    taken = add_folder(site, "taken", colour_jpeg("green"))
    site.settings["watch"].pop()
    with living(site) as life, held_by_another(site.folder / "taken"):
        label(site, "S1/A/1.jpg", colour_jpeg("red"))
        site.settings["watch"].append({"folder": "taken"})
        assert site.config_path.exists()
        life.reload()
        until(lambda: "keeps the previous one" in caplog.text)
        label(site, "S1/A/2.jpg", colour_jpeg("blue"))
    assert "taken is in use by process" in caplog.text
    assert "labelling is paused" not in caplog.text
    assert not taken.exists()


def test_a_folder_that_another_daemon_took_while_the_journal_was_away_ends_the_process(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    is_away = threading.Event()
    check_writable = Journal.check_writable

    def refuse_while_away(journal: Journal) -> None:
        if is_away.is_set():
            raise StorageError("the journal refuses")
        check_writable(journal)

    monkeypatch.setattr(lifecycle, "_FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(Journal, "check_writable", refuse_while_away)
    with (  # noqa: PT012 - it ends in the block
        pytest.raises(InUseError, match="export is in use by process") as caught,
        living(site) as life,
    ):
        until(lambda: life.service is not None)
        is_away.set()
        until(lambda: "labelling is paused" in caplog.text)
        with held_by_another(site.export):
            is_away.clear()
            until(lambda: all(t.name != "lifecycle" for t in threading.enumerate()))
    assert caught.value.exit_code == 6


def test_sighup_while_the_journal_is_waited_for_is_taken_at_once(
    site: Site,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    check_writable, away = Journal.check_writable, threading.Event()

    def refuse_the_first_disk(journal: Journal) -> None:
        if away.is_set() and journal.path.parent.name == "state":
            raise StorageError("the journal refuses")
        check_writable(journal)

    monkeypatch.setattr(Journal, "check_writable", refuse_the_first_disk)
    # Longer than the test may take: it is the configuration that ends the wait.
    monkeypatch.setattr(lifecycle, "_FIRST_WAIT_S", 600.0)
    monkeypatch.setattr(lifecycle, "_LONGEST_WAIT_S", 600.0)
    monkeypatch.setattr(lifecycle, "_BEAT_S", 0.02)
    told = Told()
    with living(site, told) as life:
        label(site, "S1/A/1.jpg", colour_jpeg("red"))
        away.set()
        until(lambda: "labelling is paused" in caplog.text)
        (site.folder / "edge.yaml").write_text("nonsense: 1\n")
        told.lines.clear()
        life.reload()
        until(lambda: "READY=1" in told.lines)
        site.settings["state_dir"] = "elsewhere"
        assert site.config_path.exists()
        life.reload()
        label(site, "S1/A/2.jpg", colour_jpeg("blue"))
