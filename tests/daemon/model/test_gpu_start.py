"""Starts and reloads that know of a GPU that failed, or hung, before; against the fake GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.health.stages import Stages
from daemon.journal.journal import Journal
from daemon.model import gpu_return
from daemon.model.current_model import open_current_model
from daemon.model.gpu_failure import GPU_MARKER, take_gpu_marker, write_gpu_marker
from daemon.service_process import ServiceProcess
from edge.backends import select
from edge.backends.opening import Opening
from edge.backends.trt import select as trt_select
from edge.backends.trt import session as trt
from edge.errors import StorageError
from tests.daemon.process.living import living
from tests.support.fake_gpu import FakeGpu
from tests.support.images import Jpeg
from tests.support.site import Site, backend_of
from tests.support.waiting import until


@pytest.mark.usefixtures("gpu")
def test_a_marker_of_a_hung_gpu_makes_one_start_on_the_cpu(gpu_site: Site) -> None:
    config = gpu_site.config()
    config.state_dir.mkdir()
    write_gpu_marker(config.state_dir, "inference hung")
    first = open_current_model(config, Stages(), Opening())
    assert not first.is_on_gpu
    assert first.failed_over_since_s is not None
    assert not (config.state_dir / GPU_MARKER).exists()
    second = open_current_model(config, Stages(), Opening())
    assert second.is_on_gpu
    assert take_gpu_marker(config.state_dir) is None


def test_a_gpu_that_hangs_while_it_is_opened_is_left_alone_by_the_next_start(
    gpu_site: Site, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = gpu_site.config()
    config.state_dir.mkdir()
    hangs, answers = threading.Event(), threading.Event()
    open_plan = trt.open_plan

    def hang(*arguments: Any, **options: Any) -> Any:
        hangs.set()
        assert answers.wait(60)
        return open_plan(*arguments, **options)

    monkeypatch.setattr(trt_select, "open_plan", hang)
    hung = threading.Thread(target=lambda: open_current_model(config, Stages(), Opening()))
    hung.start()
    try:
        assert hangs.wait(20)
        # What a process would find that is started when systemd has ended the hung one.
        after = open_current_model(config, Stages(), Opening())
        assert not after.is_on_gpu
        assert after.failed_over_since_s is not None
        assert gpu.runs == []
    finally:
        answers.set()
        hung.join(20)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is left for the next start while a GPU is opened."""
    found: list[str] = []

    def note(state_dir: Path, reason: str) -> None:
        found.append(reason)
        write_gpu_marker(state_dir, reason)

    monkeypatch.setattr("daemon.model.gpu_failure.write_gpu_marker", note)
    return found


@pytest.mark.parametrize("lost", [0, 1])
def test_a_gpu_that_answers_while_it_is_opened_leaves_no_word_for_the_next_start(
    gpu_site: Site, gpu: FakeGpu, notes: list[str], lost: int
) -> None:
    config = gpu_site.config()
    config.state_dir.mkdir()
    gpu.lost = bool(lost)
    current_model = open_current_model(config, Stages(), Opening())
    assert (current_model.is_on_gpu, len(notes)) == (not lost, 1)
    assert take_gpu_marker(config.state_dir) is None


@pytest.mark.usefixtures("gpu")
def test_a_start_writes_no_word_where_there_is_no_driver_or_a_back_end_is_named(
    gpu_site: Site,
    notes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu_site.settings["backend"] = "tensorrt"
    config = gpu_site.config()
    config.state_dir.mkdir()
    assert open_current_model(config, Stages(), Opening()).is_on_gpu
    for module in (select, trt_select):
        monkeypatch.setattr(module, "has_driver", lambda: False)
    gpu_site.settings["backend"] = "auto"
    open_current_model(gpu_site.config(), Stages(), Opening())
    assert notes == []


def reload(life: ServiceProcess, _monkeypatch: pytest.MonkeyPatch) -> None:
    life.reload()


def lose_the_journal_once(_life: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.service_process._FIRST_WAIT_S", 0.05)
    has_refused = threading.Event()
    check_writable = Journal.check_writable

    def refuse_once(journal: Journal) -> None:
        if not has_refused.is_set():
            has_refused.set()
            raise StorageError("the journal refuses")
        check_writable(journal)

    monkeypatch.setattr(Journal, "check_writable", refuse_once)


@pytest.mark.parametrize("reopen", [reload, lose_the_journal_once])
def test_a_lost_gpu_is_known_to_the_next_service_of_the_process_and_tried_again(
    gpu_site: Site,
    gpu: FakeGpu,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    reopen: Callable[[ServiceProcess, pytest.MonkeyPatch], None],
) -> None:
    monkeypatch.setattr("daemon.assembly.works_in_child", lambda *_: True)
    with living(gpu_site) as life:
        until(lambda: life.service is not None)
        before = life.service
        gpu.lost = True
        gpu_site.add("S1/A/1.jpg", colour_jpeg("red"))
        until(lambda: gpu_site.has_sidecar("S1/A/1.jpg"))
        gpu.lost = False
        reopen(life, monkeypatch)
        until(lambda: life.service is not None and life.service is not before)
        service = life.service
        assert service is not None
        report = service.parts.health.report()
        assert (report.status, report.is_failed_over) == ("degraded", True)
        monkeypatch.setattr(gpu_return, "RETURN_AFTER_S", 0.0)
        until(lambda: not service.parts.health.report().is_failed_over)
        gpu_site.add("S1/A/2.jpg", colour_jpeg("blue"))
        until(lambda: gpu_site.has_sidecar("S1/A/2.jpg"))
    assert backend_of(gpu_site, "S1/A/1.jpg") == "onnxruntime-cpu"
    assert backend_of(gpu_site, "S1/A/2.jpg") == "tensorrt"
