"""SIGHUP at awkward moments: a check that hangs or breaks, a service that is being opened."""

from __future__ import annotations

import errno
import logging
import threading
from pathlib import Path

import pytest

from daemon.config.config import Config
from daemon.model.current_model import open_current_model
from daemon.operator.check_config import check_config
from edge.errors import ConfigError
from tests.daemon.process.living import living
from tests.daemon.process.reloads import Gate, Told, add_folder, is_checking, label
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


def test_stop_while_a_new_configuration_is_being_checked_ends_the_process(
    site: Site, colour_jpeg: Jpeg, hung_check: Gate
) -> None:
    with living(site) as life:
        label(site, "S1/A/1.jpg", colour_jpeg("red"))
        life.reload()
        assert hung_check.entered.wait(20)
    # `living` has asserted that the thread has ended.
    assert not hung_check.opened.is_set()


def test_sighup_while_the_next_service_is_being_opened_takes_the_newest_configuration(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = Gate(open_current_model, first=2)
    monkeypatch.setattr("daemon.model.current_model.open_current_model", opening)
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
    monkeypatch.setattr("daemon.model.current_model.open_current_model", opening)
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
    monkeypatch.setattr("daemon.model.current_model.open_current_model", opening)
    with living(site, told) as life:
        assert opening.entered.wait(20)
        (site.folder / "edge.yaml").write_text("nonsense: 1\n")
        life.reload()
        until(lambda: "keeps the previous one" in caplog.text)
        until(lambda: not is_checking())
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
    monkeypatch.setattr("daemon.operator.check_config.check_config", break_)
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
