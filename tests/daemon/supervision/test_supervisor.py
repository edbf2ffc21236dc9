"""What hangs is found and ended; what waits for a share is not."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.health.stages import BUSY, EXPORT, LABEL, MARK, RESULTS, Stages
from daemon.image.records import ClaimedImage, ImageVersion, Postponed
from daemon.intake.folder_intake import FolderIntake
from daemon.intake.hints import Hint
from daemon.journal.journal import Journal
from daemon.model.current_model import CurrentModel
from daemon.model.gpu_failure import GPU_MARKER
from daemon.startup import opened_service
from daemon.supervision.known_image import INTERVAL_S
from daemon.supervision.supervisor import HUNG_AFTER_S, Supervisor
from edge.errors import BackendError
from edge.image_files.limits import ImageLimits
from tests.daemon.supervision.bench import Bench
from tests.support import fake_gpu
from tests.support.engine_bundle import add_tensorrt_graphs
from tests.support.fake_gpu import FakeGpu
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

NO_WORKER = "no free worker has claimed them"


def test_check_of_a_service_that_moves_finds_nothing(bench: Bench) -> None:
    for _ in range(10):
        bench.now_s += 2.0
        bench.watched.stages.tick()
        bench.watched.known_image.pass_once()
        assert bench.supervisor.check() is None
    assert bench.exits == []


def test_check_of_a_hung_inference_ends_the_process_within_its_limit(bench: Bench) -> None:
    with bench.hanging_in("infer"):
        assert bench.check_for(HUNG_AFTER_S - 0.5) is None
        assert bench.exits == []
        assert bench.check_for(0.6) == "inference hangs"
    assert bench.exits == [BackendError.exit_code]
    assert not (bench.watched.state_dir / GPU_MARKER).exists()


def test_check_of_a_hung_gpu_leaves_a_marker_for_the_next_start(
    site: Site, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_tensorrt_graphs(small_bundle)
    fake_gpu.install(monkeypatch, FakeGpu())
    with opened_service(site.config()) as service:
        bench = Bench(service)
        with bench.hanging_in("infer"):
            bench.check_for(HUNG_AFTER_S + 0.1)
        assert bench.exits == [BackendError.exit_code]
        assert (bench.watched.state_dir / GPU_MARKER).read_text() == "inference hung\n"


def test_a_slow_model_may_take_longer(bench: Bench) -> None:
    slow = replace(bench.watched.current_model.model, image_s=0.2)
    current_model = CurrentModel(slow, lambda *_: slow, may_fail_over=False)
    supervisor = Supervisor(replace(bench.watched, current_model=current_model))
    assert supervisor.infer_limit_s() == pytest.approx(10 * 16 * 0.2)


def test_check_of_a_known_image_that_is_stuck_names_its_step(bench: Bench) -> None:
    bench.watched.known_image.step = "journal"
    found = bench.check_for(HUNG_AFTER_S + INTERVAL_S + 0.1, bench.watched.stages.tick)
    assert found == "the known image has hung in the step journal"


def test_check_of_a_coordinator_that_does_not_move_tells_unless_a_share_holds_it(
    bench: Bench,
) -> None:
    passing = bench.watched.known_image.pass_once
    found = bench.check_for(HUNG_AFTER_S + 1, passing)
    assert found == "the coordinator, which finds and records images, has hung for 5 s"
    with bench.hanging_in(EXPORT):
        assert bench.check_for(60, passing, bench.watched.stages.note_queue_progress) is None
    assert bench.exits == []


def test_a_machine_that_was_paused_is_no_hang_and_a_hang_afterwards_is(bench: Bench) -> None:
    with bench.hanging_in("infer"):
        bench.check_for(1.0)
        bench.now_s += 3600
        assert bench.supervisor.check() is None
        assert bench.check_for(HUNG_AFTER_S - 0.5) is None
        assert bench.exits == []
        assert bench.check_for(1.0) == "inference hangs"
    assert bench.exits == [BackendError.exit_code]


def test_storage_that_does_not_answer_is_said_once_and_once_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with bench.hanging_in(LABEL):
        for _ in range(20):
            bench.move_on(5)
    for _ in range(3):
        bench.move_on(0)
    said = [r.message for r in caplog.records if r.levelno >= logging.WARNING]
    assert said == [
        "reading or labelling a batch of images has taken over 10 s; its images wait",
        "reading or labelling a batch of images takes less time again",
    ]


def test_a_burst_of_hints_is_no_hang(
    site: Site,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a clock by which each hint takes two seconds.
    now_s = 0.0
    stages = Stages(clock=lambda: now_s)
    monkeypatch.setattr("daemon.startup.Stages", lambda: stages)
    is_complete, are_there = FolderIntake.is_complete, threading.Event()
    still_s: list[float] = []

    def slowly(source: FolderIntake, hint: Hint, limits: ImageLimits) -> bool:
        nonlocal now_s
        are_there.wait(20)
        still_s.append(stages.ticked_ago_s())
        now_s += 2.0
        return is_complete(source, hint, limits)

    monkeypatch.setattr(FolderIntake, "is_complete", slowly)
    with site.running():
        for number in range(100):
            path = site.export / f"{number}.jpg"
            path.write_bytes(colour_jpeg("red", seed=number % 5))
        are_there.set()
        until(lambda: all(site.has_sidecar(f"{n}.jpg") for n in range(100)), timeout_s=30)
    assert len(still_s) > 50
    assert max(still_s) < HUNG_AFTER_S


def test_check_of_a_queue_that_nobody_takes_from_says_so(bench: Bench) -> None:
    alive = (bench.watched.stages.tick, bench.watched.known_image.pass_once)
    assert bench.check_for(29.5, *alive) is None
    assert bench.check_for(1.0, *alive) == f"images have waited for 30 s and {NO_WORKER}"
    bench.watched.stages.note_queue_progress()
    assert bench.check_for(29.5, *alive) is None
    # One of the two workers is busy with a batch that takes long; the other should take images.
    with bench.hanging_in(BUSY):
        assert bench.check_for(1.0, *alive) == f"images have waited for 30 s and {NO_WORKER}"
    assert bench.exits == []


def test_check_of_workers_that_are_all_busy_for_long_finds_nothing(bench: Bench) -> None:
    """Large images on a slow machine, a wait after refusals, or a share that hangs."""
    alive = (bench.watched.stages.tick, bench.watched.known_image.pass_once)
    with bench.hanging_in(BUSY), bench.hanging_in(BUSY):
        assert bench.check_for(600, *alive) is None


def test_check_of_a_worker_that_does_not_get_done_says_so(bench: Bench) -> None:
    alive = (bench.watched.stages.tick, bench.watched.known_image.pass_once)
    alive_too = bench.watched.stages.note_queue_progress
    with bench.hanging_in(BUSY), bench.hanging_in(MARK):
        assert bench.check_for(29.5, *alive, alive_too) is None
        found = bench.check_for(1.0, *alive, alive_too)
    assert found == "marking a batch in the journal has hung for 30 s"


def test_queue_that_is_empty_or_not_due_is_no_hang(site: Site) -> None:
    with opened_service(site.config()) as service:
        bench = Bench(service)
        bench.now_s += 60
        assert not bench.watched.has_claimable()
        (root,) = service.parts.watch_folders
        journal = service.parts.journal
        journal.record_waiting([ImageVersion(root, b"a.jpg", 1, 1)])
        assert bench.watched.has_claimable()
        (claimed,) = journal.claim(1)
        assert not bench.watched.has_claimable()
        journal.conclude([Postponed(claimed, 1000.0, 1, "x")])
        assert not bench.watched.has_claimable()


def test_workers_that_stand_still_are_found_in_a_service_that_runs(
    site: Site,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("daemon.supervision.supervisor._STALLED_AFTER_S", 3.0)
    monkeypatch.setattr("daemon.supervision.supervisor.INTERVAL_S", 0.1)
    monkeypatch.setattr("daemon.supervision.supervisor.TICK_S", 0.05)
    go_on = threading.Event()
    claim, note_queue_progress = Journal.claim, Stages.note_queue_progress
    moves: list[Stages] = []

    def note_move(stages: Stages) -> None:
        moves.append(stages)
        note_queue_progress(stages)

    def claim_nothing(journal: Journal, limit: int) -> list[ClaimedImage]:
        return claim(journal, limit) if go_on.is_set() else []

    monkeypatch.setattr(Journal, "claim", claim_nothing)
    monkeypatch.setattr(Stages, "note_queue_progress", note_move)
    with site.running():
        # Nothing waits: that the workers take nothing is not held against them.
        until(lambda: len(moves) > 2)
        assert NO_WORKER not in caplog.text
        site.add("S1/A/1.jpg", colour_jpeg("red"))
        until(lambda: f"{NO_WORKER}; no WATCHDOG=1 is sent" in caplog.text)
        go_on.set()
        until(lambda: "no thread hangs any more" in caplog.text)
        until(lambda: site.has_sidecar("S1/A/1.jpg"))


def test_health_fails_where_storage_holds_every_worker(bench: Bench) -> None:
    health = bench.watched.health

    def told(after_s: float) -> tuple[str, tuple[str, ...]]:
        health.known_image_passed()
        bench.move_on(after_s)
        report = health.report()
        return str(report.status), report.reasons

    with bench.hanging_in(LABEL):
        slow = ("degraded", ("storage: a file system does not answer; its images wait",))
        assert told(31) == slow
        with bench.hanging_in(RESULTS):
            assert told(11) == slow
            status, reasons = told(20)
            assert status == "failing"
            assert reasons == ("storage: a file system does not answer; every worker waits for it",)
    assert told(1) == ("ok", ())


def test_health_names_a_log_that_nobody_reads(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.supervision.supervisor.log_problem", lambda: "nobody reads the log")
    bench.move_on(0)
    report = bench.watched.health.report()
    assert (str(report.status), report.reasons) == ("degraded", ("log: nobody reads the log",))
