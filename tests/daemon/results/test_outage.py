"""Tests for daemon.results.outage: what is said of sidecars that cannot be written, and when."""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path

import pytest

from daemon import service
from edge.errors import StorageError
from tests.daemon.results.outage_case import A, B, C, Case, said
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


def test_write_that_trouble_has_overtaken_does_not_end_it(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    since_s = case.outage.begin_write([A])
    case.refuse(A)
    case.now_s += 60.0
    case.outage.written({A, B}, since_s)
    assert (case.locks.are_held, case.freed, case.reasons == ()) == (False, 0, False)
    case.write(A)
    assert (case.locks.are_held, case.freed, case.reasons == ()) == (True, 1, True)
    assert said(caplog) == ["refused", "again"]


def test_trouble_ends_when_some_were_written_and_none_was_refused_for_a_while(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in (A, B, A, B):
        case.refuse(folder)
    assert (case.locks.are_held, said(caplog)) == (False, ["refused"])
    assert case.reasons == ("results: sidecars cannot be written; their images wait",)
    # Written with the locks, but perhaps only because it was small.
    case.write(C, after_s=0.001)
    assert (case.locks.are_held, said(caplog)) == (True, ["refused"])
    case.refuse(C, after_s=2.0)
    case.write(C, after_s=0.001)
    case.now_s += 2.0
    case.outage.review()
    assert said(caplog) == ["refused"]
    case.now_s += 1.0
    case.outage.review()
    assert said(caplog) == ["refused", "again"]
    # Health names what has not been written since.
    assert case.reasons == (
        "results: sidecars of some folders cannot be written; their images wait",
    )
    case.write(A)
    case.write(B)
    assert not case.reasons


def test_waiting_images_are_tried_when_a_folder_takes_sidecars_and_once_more_an_interval_later(
    case: Case,
) -> None:
    case.refuse(A)
    case.write(A)
    assert case.freed == 1
    # Refused in the batch that has ended the refusal, and recorded as waiting after it.
    case.refuse(B, after_s=0.0)
    case.now_s += 1.9
    case.outage.review()
    assert case.freed == 1
    case.now_s += 0.2
    case.outage.review()
    assert case.freed == 2
    case.now_s += 60.0
    case.outage.review()
    assert case.freed == 2


def test_folder_that_takes_sidecars_soon_after_another_has_its_images_tried_too(
    case: Case,
) -> None:
    for folder in (A, B):
        case.refuse(folder)
    case.write(A)
    case.write(B, after_s=1.0)
    assert case.freed == 1
    freed = []
    for _ in range(6):
        case.now_s += 1.0
        case.outage.review()
        freed.append(case.freed)
    assert freed == [2, 2, 3, 3, 3, 3]


def test_each_of_many_folders_keeps_an_image_that_is_tried_and_few_are_tried_at_a_time(
    case: Case,
) -> None:
    folders = [Path(f"/results/{number}") for number in range(40)]
    due_s = dict.fromkeys(folders, case.now_s)
    tried: list[float] = []
    while case.now_s < 1100.0:
        for folder in folders:
            if due_s[folder] <= case.now_s:
                tried.append(case.now_s)
                due_s[folder] = case.now_s + case.refuse(folder, after_s=0.0)
        case.now_s += 0.05
    later = [at_s for at_s in tried if at_s > 1030.0]
    # 40 folders at 8 in 2 s: each is tried every 10 s.
    assert len(later) >= 40 * 5
    assert all(sum(at_s <= one < at_s + 1.9 for one in later) <= 8 for at_s in later)


def test_one_small_write_while_the_rest_is_refused_is_no_end(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.refuse(A)
    case.write(B, after_s=0.5)
    for _ in range(10):
        case.refuse(A, after_s=2.0)
        case.outage.review()
    assert said(caplog) == ["refused"]


def test_calm_without_a_write_is_no_end(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    case.write(A)
    case.refuse(A)
    case.now_s += 60.0
    case.outage.review()
    assert said(caplog) == ["refused"]
    assert case.reasons


def test_second_outage_is_said_though_the_images_of_the_first_are_gone(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.refuse(A)
    case.write(B)
    case.refuse(C, after_s=100.0)
    assert not case.locks.are_held
    assert said(caplog) == ["refused", "again", "refused"]


def test_disk_at_its_brim_is_said_once(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(100):
        case.refuse(A.with_name(str(number)), after_s=0.1)
        case.write(A.with_name(str(number)), after_s=0.1)
    assert said(caplog) == ["refused"]
    # Images that wait are not all tried whenever one of them fits.
    assert case.freed == 10
    case.write(B)
    assert said(caplog) == ["refused", "again"]
    # The same again within a minute is no news.
    case.refuse(C)
    assert said(caplog) == ["refused", "again"]
    case.refuse(C, after_s=60.0)
    assert said(caplog)[2:] == ["refused"]
    # Another reason is.
    case.write(C)
    case.refuse(C, reason="Read-only file system")
    assert said(caplog)[3:] == ["again", "refused"]


def test_results_taken_by_another_daemon_meanwhile_are_said_once(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.refuse(A)
    case.locks.problem = StorageError("results in /results are written by another")
    for _ in range(3):
        with pytest.raises(StorageError):
            case.write(A)
        case.refuse(A)
    case.locks.problem = None
    case.write(A)
    assert said(caplog) == ["refused", "results in /results are written by another", "again"]
    assert not case.reasons


def test_beginning_is_not_overtaken_by_the_end(case: Case) -> None:
    is_inside, may_go_on = threading.Event(), threading.Event()
    release = case.locks.release

    def slow() -> None:
        is_inside.set()
        may_go_on.wait(30)
        release()

    case.locks.release = slow  # type: ignore[method-assign]
    since_s = case.outage.begin_write([A])
    worker_a = threading.Thread(target=case.refuse, args=(A,))
    worker_b = threading.Thread(target=case.outage.written, args=({A}, since_s))
    worker_a.start()
    assert is_inside.wait(15)
    case.outage.review()  # the coordinator does not wait for the two
    worker_b.start()
    may_go_on.set()
    worker_a.join(15)
    worker_b.join(15)
    assert (case.locks.are_held, case.reasons == ()) == (False, False)
    case.locks.release = release  # type: ignore[method-assign]
    case.write(A)
    assert (case.locks.are_held, case.reasons == ()) == (True, True)


def test_run_outage_whose_images_are_gone_ends_and_the_next_one_is_said(
    site: Site,
    colour_jpeg: Jpeg,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "_IDLE_S", 0.02)
    caplog.set_level(logging.WARNING, "daemon")
    with site.running():
        (site.results / "S1").write_text("this folder cannot be made")
        site.add("S1/A/1.jpg", colour_jpeg("red"))
        until(lambda: said(caplog).count("refused") == 1)
        shutil.rmtree(site.export / "S1")
        site.add("S2/A/1.jpg", colour_jpeg("red"))
        until(lambda: site.has_sidecar("S2/A/1.jpg"))
        until(lambda: said(caplog).count("again") == 1)
        site.results.rename(site.folder / "away")
        site.add("S3/A/1.jpg", colour_jpeg("red"))
        until(lambda: said(caplog).count("refused") == 2)
        (site.folder / "away").rename(site.results)
        until(lambda: site.has_sidecar("S3/A/1.jpg"))
        until(lambda: said(caplog).count("again") == 2)
