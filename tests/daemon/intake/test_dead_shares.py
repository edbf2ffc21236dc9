"""Tests for starts beside a share that refuses or hangs: the other folders are labelled."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.health.health import Health
from daemon.operator.check_config import check_config
from daemon.recovery import _tidy_folders
from daemon.results.destination import Destination
from daemon.startup import opened_service
from daemon.system.bounded_call import call_each
from daemon.system.folder_locks import FolderLocks, LockKind
from edge.errors import ConfigError, StorageError
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

LEFTOVER = ".edge-1-abc.tmp"


@pytest.fixture
def share(site: Site) -> Path:
    """A second watch folder, where a killed process left a claim and a temporary file."""
    folder: Path = site.folder / "share"
    (folder / "S9").mkdir(parents=True)
    site.settings["watch"].append({"folder": "share"})
    site.settings["results"] = {"folder": None}
    with opened_service(site.config()):
        pass
    (folder / "S9" / LEFTOVER).touch()
    with closing(sqlite3.connect(site.folder / "state" / "journal.sqlite3")) as db, db:
        db.execute(
            "INSERT INTO image (root, path, size_bytes, mtime_ns, state, recorded_at) "
            "SELECT id, ?, 1, 1, 'claimed', 0 FROM root WHERE folder = ?",
            (b"S9/9.jpg", os.fsencode(folder)),
        )
    return folder


def intercept(patch: pytest.MonkeyPatch, folder: Path, before: Callable[[], object]) -> None:
    """Have `before` called before each question to the file system about a folder."""
    place = os.fsencode(folder)

    def asking(call: Callable[..., Any]) -> Callable[..., Any]:
        def ask(path: Any, *arguments: Any, **options: Any) -> Any:
            if not isinstance(path, int) and os.fsencode(path).startswith(place):
                before()
            return call(path, *arguments, **options)

        return ask

    for name in ("stat", "lstat", "scandir", "open"):
        patch.setattr(os, name, asking(getattr(os, name)))


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], threading.Event]]:
    """Has every call to a folder hang until the event that it gives."""
    answers = threading.Event()
    modules = ("config.config", "results.destination", "recovery", "operator.check_config")
    for module in (*modules, "system.folder_locks"):
        monkeypatch.setattr(f"daemon.{module}.ANSWER_S", 0.1)

    def hang(folder: Path) -> threading.Event:
        intercept(monkeypatch, folder, lambda: answers.wait(60))
        return answers

    yield hang
    answers.set()


@pytest.mark.parametrize("error", [errno.ENOTCONN, errno.EHOSTDOWN, errno.ESTALE, errno.EIO])
def test_start_with_claims_on_a_share_that_refuses_labels_the_other_folders(
    site: Site, share: Path, colour_jpeg: Jpeg, error: int
) -> None:
    def refuse() -> None:
        raise OSError(error, os.strerror(error))

    image = site.add("S1/1/a.jpg", colour_jpeg("red"))
    with pytest.MonkeyPatch.context() as patch:
        intercept(patch, share, refuse)
        with site.running():
            until(image.with_name("a.jpg.json").exists)
    assert (share / "S9" / LEFTOVER).exists()


def test_start_beside_a_share_that_hangs_labels_the_other_folders(
    site: Site,
    share: Path,
    colour_jpeg: Jpeg,
    hung: Callable[[Path], threading.Event],
) -> None:
    image = site.add("S1/1/a.jpg", colour_jpeg("red"))
    late = share / "b.jpg"
    late.write_bytes(colour_jpeg("blue"))
    answers = hung(share)
    with site.running():
        until(image.with_name("a.jpg.json").exists)
        assert not answers.is_set()
        answers.set()
        until(late.with_name("b.jpg.json").exists)


def test_share_that_hangs_at_work_is_seen_in_health_until_it_answers(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = Health()
    monkeypatch.setattr("daemon.assembly.Health", lambda: health)
    monkeypatch.setattr("daemon.intake.folder_intake.HUNG_S", 0.2)
    site.settings["poll"] = "always"
    answers = threading.Event()
    with site.running():
        site.add("S1/1/a.jpg", colour_jpeg("red"))
        until(lambda: site.has_sidecar("S1/1/a.jpg"))
        with pytest.MonkeyPatch.context() as patch:
            intercept(patch, site.export, lambda: answers.wait(60))
            reason = "watch-0: the folder or its share does not answer"
            until(lambda: reason in health.report().reasons)
            assert not health.report().watch[0].is_there
            answers.set()
        until(lambda: not health.report().reasons)
        assert health.report().watch[0].is_there


def test_start_with_a_results_folder_that_hangs_says_so(
    tmp_path: Path, hung: Callable[[Path], threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    answers = hung(results)
    with pytest.raises(StorageError, match=r"results does not answer\. Check its share"):
        Destination(results, [tmp_path])
    answers.set()
    monkeypatch.setattr("daemon.results.destination.ANSWER_S", 15.0)
    Destination(results, [tmp_path])


def test_check_of_a_configuration_names_each_folder_that_hangs(
    site: Site, share: Path, hung: Callable[[Path], threading.Event]
) -> None:
    config = site.config()
    hung(share)
    with pytest.raises(ConfigError) as raised:
        check_config(config)
    # A busy machine may be as silent about the others.
    assert f"watch folder {share} does not answer. Check its share or disk." in str(raised.value)


def test_lock_of_a_share_that_hangs_is_let_go_of_without_waiting_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.system.folder_locks.ANSWER_S", 0.1)
    answers, released = threading.Event(), threading.Event()

    def release(_folder: Path, _descriptor: int) -> None:
        answers.wait(60)
        released.set()

    locks = FolderLocks(
        (tmp_path,),
        LockKind(lambda _folder: 7, lambda _folder, _descriptor: True, release),
    )
    locks.take()
    locks.release()
    assert not released.is_set()
    answers.set()
    assert released.wait(20)


def test_share_that_answers_late_has_no_files_removed(tmp_path: Path) -> None:
    (tmp_path / LEFTOVER).touch()
    os.utime(tmp_path / LEFTOVER, (0, 0))
    is_over = threading.Event()
    is_over.set()
    _tidy_folders([tmp_path], is_over)
    assert (tmp_path / LEFTOVER).exists()
    is_over.clear()
    _tidy_folders([tmp_path / "away", tmp_path], is_over)
    assert not (tmp_path / LEFTOVER).exists()


def test_call_each_gives_what_comes_back_in_time_and_raises_what_is_raised() -> None:
    answers = threading.Event()
    hangs: dict[str, Callable[[], int]] = {"hangs": lambda: int(answers.wait(60))}
    assert "hangs" not in call_each({**hangs, "four": lambda: 4}, 0.1, "test")
    answers.set()
    assert call_each({"four": lambda: 4, "five": lambda: 5}, 15.0, "test") == {"four": 4, "five": 5}
    assert call_each({}, 15.0, "test") == {}
    with pytest.raises(ZeroDivisionError):
        call_each({"zero": lambda: 1 // 0}, 15.0, "test")
