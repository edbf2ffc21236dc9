"""Tests for daemon.results.outage: what is said of sidecars that cannot be written, and when."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Collection
from pathlib import Path

import pytest

from daemon import service
from daemon.config.retry_policy import RetryPolicy
from daemon.health.health import Health
from daemon.results.outage import Outage
from edge.errors import StorageError
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

REFUSED, AGAIN = "sidecars cannot be written (", "sidecars can be written again"
A, B, C = Path("/results/A"), Path("/results/B"), Path("/results/C")
FULL = "No space left on device"
POLICY = RetryPolicy(first_delay_s=1.0, max_delay_s=60.0)


class Held:
    """The locks of a destination, as far as an outage needs them."""

    def __init__(self) -> None:
        self.are_held = True
        self.problem: StorageError | None = None

    def hold(self, _paths: Collection[Path]) -> None:
        if self.problem:
            raise self.problem
        self.are_held = True

    def release(self) -> None:
        self.are_held = False


class Case:
    """Trouble on a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.locks = Held()
        self.health = Health()
        self.freed = 0
        self.outage = Outage(
            self.locks,  # type: ignore[arg-type]
            self.health,
            POLICY,
            self.free,
            clock=lambda: self.now_s,
        )

    def free(self) -> None:
        self.freed += 1

    def refuse(self, folder: Path, *, after_s: float = 1.0, reason: str = FULL) -> float:
        self.now_s += after_s
        return self.outage.refused(folder, reason)

    def write(self, folder: Path, *, after_s: float = 3.0) -> None:
        self.now_s += after_s
        self.outage.written({folder}, self.outage.begin_write([folder]))

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.health.report().reasons


@pytest.fixture
def case() -> Case:
    return Case()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = [record.getMessage() for record in caplog.records]
    return ["refused" if REFUSED in text else "again" if AGAIN in text else text for text in texts]


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


def test_one_image_of_a_folder_is_tried_often_and_frees_the_others(case: Case) -> None:
    delays = [case.refuse(A, after_s=0.0) for _ in range(16)]
    assert delays == [1.0, *[60.0] * 15]
    for _ in range(30):
        # The probe is refused again, and comes again soon.
        assert case.refuse(A, after_s=2.0) == 2.0
    assert case.freed == 0
    case.write(A, after_s=2.0)
    assert case.freed == 1


def test_probes_of_many_folders_are_few(case: Case) -> None:
    folders = [A.with_name(str(number)) for number in range(1000)]
    delays = [case.refuse(folder, after_s=0.0) for folder in folders]
    assert sum(delay < 60.0 for delay in delays) == 8
    case.now_s += 2.0
    assert [case.refuse(folder, after_s=0.0) for folder in folders[:9]] == [*[2.0] * 8, 60.0]


def test_second_outage_is_said_though_the_images_of_the_first_are_gone(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.refuse(A)
    case.write(B)
    case.refuse(C, after_s=100.0)
    assert not case.locks.are_held
    assert said(caplog) == ["refused", "again", "refused"]


def test_folder_that_refuses_for_good_while_others_do_not_is_said_once(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.refuse(A)
    for _ in range(500):
        case.write(B, after_s=1.0)
        assert case.refuse(A, after_s=1.0) == 2.0
    assert said(caplog) == ["refused", "again"]
    assert (case.locks.are_held, case.freed) == (True, 0)
    assert "some folders" in case.reasons[0]


def test_known_folder_that_refuses_when_nothing_else_is_written_is_trouble(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.refuse(A)
    case.write(B)
    for _ in range(11):
        case.refuse(A, after_s=60.0)
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


def test_folder_whose_images_are_gone_is_forgotten_after_a_while(case: Case) -> None:
    case.refuse(A)
    case.write(B)
    case.outage.review()
    assert case.reasons
    case.now_s += 10 * POLICY.max_delay_s
    case.outage.review()
    assert not case.reasons
    assert case.refuse(A) == POLICY.first_delay_s


def test_folders_that_refuse_are_remembered_up_to_a_number(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.results.outage._MAX_FOLDERS", 10)
    for number in range(30):
        case.refuse(A.with_name(str(number)))
    case.now_s += POLICY.max_delay_s
    # The second refusal of a folder that is remembered, the first of one that is forgotten.
    delays_s = [case.refuse(A.with_name(str(n)), after_s=10.0) for n in (25, 29, 0)]
    assert delays_s == [POLICY.delay_s(2), POLICY.delay_s(2), POLICY.first_delay_s]


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
