"""Tests for daemon.logs: no path reaches the log."""

from __future__ import annotations

import logging
import stat
import threading
from pathlib import Path

import pytest

from daemon.image_log import ImageLog
from daemon.logs import KEY_NAME, Pseudonyms, open_pseudonyms, start_logging
from daemon.records import ClaimedImage, Dropped, Finished, ImageVersion, Postponed
from daemon.roots import Root, names_regex
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
    root = Root(1, folder, folder, names_regex(("*.jpg",)))
    log = ImageLog({1: root}, Pseudonyms(b"key"))
    image = ClaimedImage(1, ImageVersion(1, b"S123/a.jpg", 1, 1))
    with caplog.at_level(logging.DEBUG):
        bad = rejected(RejectReason.EMPTY, "the file is empty", ImageFacts())
        log.say([Finished(image, bad), Postponed(image, 1.0, 1, "x"), Dropped(image, "gone")])
        path = "/export/S123/a.jpg"
        try:
            int(path)
        except ValueError as error:
            log.say_unexpected(image, error)
    assert len(caplog.records) == 4
    assert "S123" not in caplog.text
    assert "unexpected ValueError" in caplog.text


def test_log_of_a_thread_that_fails_names_no_path(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise OSError("/export/S123/a.jpg")

    start_logging("info")
    thread = threading.Thread(target=fail, name="reader")
    thread.start()
    thread.join()
    err = capsys.readouterr().err
    assert "thread reader ended with OSError" in err
    assert "S123" not in err


def test_log_lines_for_journald_carry_their_priority(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    start_logging("info")
    logger = logging.getLogger("daemon.test")
    logger.debug("not shown")
    logger.warning("two\nlines")
    logger.error("bad")
    assert capsys.readouterr().err == "<4>two | lines\n<3>bad\n"
