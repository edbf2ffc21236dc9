"""SIGHUP at awkward moments: a check that hangs or breaks, a service that is being opened."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon import service_process as lifecycle
from daemon import startup
from daemon.config.config import Config
from daemon.health.systemd import Notifier
from daemon.journal.journal import Journal
from daemon.model.current_model import open_current_model
from daemon.operator.check_config import check_config
from daemon.system.locks import InUseError, mark
from edge.errors import ConfigError, StorageError
from tests.daemon.test_service_process import living
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


class Told(Notifier):
    """Remembers what systemd is told."""

    def __init__(self) -> None:
        super().__init__({})
        self.lines: list[str] = []

    def notify(self, *assignments: str) -> None:
        self.lines += assignments

    def signs(self) -> list[str]:
        """What it was told of a reload's beginning and end, in order."""
        return [line for line in self.lines if line in {"RELOADING=1", "READY=1"}]


class Gate:
    """Holds up calls of a function from the `first` on, until it is opened."""

    def __init__(self, function: Callable[..., Any], *, first: int = 1) -> None:
        self._function = function
        self._first = first
        self._calls = 0
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self, *arguments: Any) -> Any:
        self._calls += 1
        if self._calls >= self._first:
            self.entered.set()
            assert self.opened.wait(60)
        return self._function(*arguments)


def is_checking() -> bool:
    """Whether a configuration is being checked; a right one is handed over at its end."""
    return any(thread.name == "reload" for thread in threading.enumerate())


@pytest.fixture
def hung_check(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(check_config)
    monkeypatch.setattr(lifecycle, "check_config", gate)
    yield gate
    gate.opened.set()
    until(lambda: not is_checking())


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


def label(site: Site, name: str, content: bytes) -> None:
    site.add(name, content)
    until(lambda: site.has_sidecar(name))


def add_folder(site: Site, name: str, content: bytes) -> Path:
    """A further watch folder with an image; gives the sidecar that the image would get."""
    (site.folder / name).mkdir()
    (site.folder / name / f"{name}.jpg").write_bytes(content)
    site.settings["watch"].append({"folder": name})
    assert site.config_path.exists()
    return site.results / name / f"{name}.jpg.json"


def test_stop_while_a_new_configuration_is_being_checked_ends_the_process(
    site: Site, colour_jpeg: Jpeg, hung_check: Gate
) -> None:
    with living(site) as life:
        label(site, "S1/A/1.jpg", colour_jpeg("red"))
        life.reload()
        assert hung_check.entered.wait(20)
    # `living` has asserted that the thread has ended.
    assert not hung_check.opened.is_set()


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


def test_sighup_while_the_next_service_is_being_opened_takes_the_newest_configuration(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = Gate(open_current_model, first=2)
    monkeypatch.setattr(startup, "open_current_model", opening)
    with living(site) as life:
        label(site, "S1/A/1.jpg", colour_jpeg("red"))
        life.reload()
        assert opening.entered.wait(20)
        newest = add_folder(site, "newest", colour_jpeg("green"))
        life.reload()
        until(lambda: not is_checking())
        opening.opened.set()
        until(newest.exists)


def test_sighup_during_the_first_start_takes_the_new_configuration(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = Gate(open_current_model)
    monkeypatch.setattr(startup, "open_current_model", opening)
    with living(site) as life:
        assert opening.entered.wait(20)
        newest = add_folder(site, "newest", colour_jpeg("green"))
        life.reload()
        until(lambda: not is_checking())
        opening.opened.set()
        until(newest.exists)


def test_wrong_configuration_during_the_first_start_does_not_say_ready_before_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opening, told = Gate(open_current_model), Told()
    monkeypatch.setattr(startup, "open_current_model", opening)
    with living(site, told) as life:
        assert opening.entered.wait(20)
        (site.folder / "edge.yaml").write_text("nonsense: 1\n")
        life.reload()
        until(lambda: "keeps the previous one" in caplog.text)
        until(lambda: not life._is_checking)
        assert "READY=1" not in told.lines
        opening.opened.set()
        until(lambda: "READY=1" in told.lines)


def test_a_check_that_breaks_is_said_without_its_text_and_the_old_configuration_goes_on(
    site: Site,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def break_(config: Config) -> list[str]:
        assert check_config(config)
        raise RuntimeError("S1/A/4711.jpg")

    told = Told()
    monkeypatch.setattr(lifecycle, "check_config", break_)
    with living(site, told) as life:
        label(site, "S1/A/1.jpg", colour_jpeg("red"))
        told.lines.clear()
        life.reload()
        until(lambda: "READY=1" in told.lines)
        assert told.lines[0] == "RELOADING=1"
        label(site, "S1/A/2.jpg", colour_jpeg("blue"))
    said = [r.message for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(said) == 2
    assert said[0].startswith("unexpected RuntimeError at daemon/service_process.py:")
    assert said[1] == "new configuration refused; the service keeps the previous one"
    assert "4711" not in caplog.text


def test_a_watch_folder_whose_server_is_gone_is_one_line_of_the_check(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, is_dir = site.config(), Path.is_dir

    def ask(path: Path) -> bool:
        if path == site.export:
            raise OSError(errno.EHOSTDOWN, "Host is down")
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", ask)
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    assert str(caught.value) == f"watch folder {site.export} is not there. Mount or create it."


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


def test_sighup_during_a_check_has_the_newest_file_checked(
    site: Site, colour_jpeg: Jpeg, hung_check: Gate
) -> None:
    told = Told()
    with living(site, told) as life:
        label(site, "S1/A/1.jpg", colour_jpeg("red"))
        told.lines.clear()
        life.reload()
        assert hung_check.entered.wait(20)
        newest = add_folder(site, "newest", colour_jpeg("green"))
        for _ in range(3):
            life.reload()
        hung_check.opened.set()
        until(newest.exists)
        # The folder is there a moment before the service says that it is ready.
        until(lambda: told.signs()[-1:] == ["READY=1"])
        signs = told.signs()
    # Both checks, then one new service that is ready.
    assert signs == ["RELOADING=1", "RELOADING=1", "READY=1"]


def test_sighup_whose_file_is_wrong_after_one_that_was_right_takes_the_right_one(
    site: Site, colour_jpeg: Jpeg, hung_check: Gate
) -> None:
    told = Told()
    with living(site, told) as life:
        label(site, "S1/A/1.jpg", colour_jpeg("red"))
        told.lines.clear()
        newest = add_folder(site, "newest", colour_jpeg("green"))
        life.reload()
        assert hung_check.entered.wait(20)
        (site.folder / "edge.yaml").write_text("nonsense: 1\n")
        life.reload()
        hung_check.opened.set()
        until(newest.exists)
        # The folder is there a moment before the service says that it is ready.
        until(lambda: told.signs()[-1:] == ["READY=1"])
        signs = told.signs()
    assert signs == ["RELOADING=1", "RELOADING=1", "READY=1"]


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


def test_sighup_for_which_there_is_no_thread_is_said_and_the_next_one_is_taken(
    site: Site,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "reload":
            raise RuntimeError("can't start new thread")
        start(thread)

    with living(site) as life:
        label(site, "S1/A/1.jpg", colour_jpeg("red"))
        newest = add_folder(site, "newest", colour_jpeg("green"))
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            life.reload()
        assert "cannot be checked now (can't start new thread); send SIGHUP again" in caplog.text
        life.reload()
        until(newest.exists)
