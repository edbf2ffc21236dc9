"""Tests for daemon.log.journald: no path reaches the log."""

from __future__ import annotations

import gc
import logging
import stat
import threading
import warnings
from pathlib import Path

import pytest

from daemon.image.records import ClaimedImage, Dropped, Finished, ImageVersion, Postponed
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.log.image_log import ImageLog
from daemon.log.journald import KEY_NAME, Pseudonyms, logging_to_stderr, open_pseudonyms
from edge.errors import RejectReason
from edge.labeller import ImageFacts, rejected


def test_pseudonyms_key_is_private_and_kept(tmp_path: Path) -> None:
    first = open_pseudonyms(tmp_path).of(Path("/export"), b"S1/a.jpg")
    assert first == open_pseudonyms(tmp_path).of(Path("/export"), b"S1/a.jpg")
    assert len(first) == 12
    assert stat.S_IMODE((tmp_path / KEY_NAME).stat().st_mode) == 0o600


def test_pseudonyms_differ_between_images_and_installations(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    ours, theirs = open_pseudonyms(tmp_path), open_pseudonyms(tmp_path / "other")
    image = (Path("/export"), b"S1/a.jpg")
    assert ours.of(*image) != ours.of(Path("/export"), b"S1/b.jpg")
    assert ours.of(*image) != theirs.of(*image)


def test_image_log_names_no_path(caplog: pytest.LogCaptureFixture) -> None:
    folder = Path("/export")
    root = WatchFolder(1, folder, folder, names_regex(("*.jpg",)))
    log = ImageLog({1: root}, Pseudonyms(b"key"))
    image = ClaimedImage(1, ImageVersion(1, b"S123/a.jpg", 1, 1))
    with caplog.at_level(logging.DEBUG):
        bad = rejected(RejectReason.EMPTY, "the file is empty", ImageFacts())
        log.log_verdicts(
            [Finished(image, bad), Postponed(image, 1.0, 1, "x"), Dropped(image, "gone")]
        )
        path = "/export/S123/a.jpg"
        try:
            int(path)
        except ValueError as error:
            log.log_unexpected(image, error)
    assert len(caplog.records) == 4
    assert "S123" not in caplog.text
    assert "unexpected ValueError" in caplog.text


def test_log_of_a_thread_that_fails_names_no_path(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise OSError("/export/S123/a.jpg")

    with logging_to_stderr("info"):
        thread = threading.Thread(target=fail, name="reader")
        thread.start()
        thread.join()
    err = capfd.readouterr().err
    assert "thread reader ended with OSError" in err
    assert "S123" not in err


def test_log_lines_for_journald_carry_their_priority(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    with logging_to_stderr("info"):
        logger = logging.getLogger("daemon.test")
        logger.debug("not shown")
        logger.warning("two\nlines")
        logger.error("bad")
    assert capfd.readouterr().err == "<4>two | lines\n<3>bad\n"


def test_log_shows_no_control_character_of_a_name(capfd: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr("info"):
        logging.getLogger("daemon.test").warning("folder %s is away", "/e\x1b[2J\n<0>x\r\udc80")
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith(r"WARNING folder /e\x1b[2J | <0>x\r\x80 is away")


def test_log_takes_warnings_and_errors_that_nobody_can_raise(
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Breaking:
        def __del__(self) -> None:
            raise OSError("/export/S123/a.jpg")

    with logging_to_stderr("info"):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("an old function", stacklevel=1)
        logging.getLogger("library").warning("of a library")
        Breaking()
        gc.collect()
    err = capfd.readouterr().err
    assert "an old function" in err
    assert "of a library" in err
    assert "finalizer or callback failed: OSError" in err
    assert "S123" not in err
