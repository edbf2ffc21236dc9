"""Tests for the end of `daemon.service_process`: it comes, whoever holds a worker."""

from __future__ import annotations

import threading

import pytest

from daemon import service_process as lifecycle_of_process
from daemon.image.records import ClaimedImage, Dropped, Verdict
from daemon.model.label_job import LabelJob
from daemon.service_process import ServiceProcess
from edge.system.notifier import Notifier
from tests.support.site import Site
from tests.support.waiting import until


def test_a_file_system_that_holds_a_worker_does_not_hold_the_end(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    is_held, answers, codes = threading.Event(), threading.Event(), list[int]()

    def hang(_job: LabelJob, images: list[ClaimedImage]) -> list[Verdict]:
        is_held.set()
        answers.wait(30)
        return [Dropped(image, "gone") for image in images]

    def exit_now(code: int) -> None:
        codes.append(code)
        answers.set()

    monkeypatch.setattr(LabelJob, "label", hang)
    monkeypatch.setattr(lifecycle_of_process, "LAST_BATCHES_S", 0.2)
    site.add("S1/A/1.jpg", b"an image")
    lifecycle = ServiceProcess(site.folder / "edge.yaml", Notifier({}), exit_now=exit_now)
    thread = threading.Thread(target=lifecycle.run, args=(site.config(),))
    thread.start()
    assert is_held.wait(20)
    lifecycle.stop()
    thread.join(20)
    assert (thread.is_alive(), codes) == (False, [0])
    assert "a batch did not end within 0.2 s; the process ends" in caplog.text


def test_an_end_in_time_is_left_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(lifecycle_of_process, "LAST_BATCHES_S", 20.0)
    lifecycle = ServiceProcess(site.folder / "edge.yaml", Notifier({}), exit_now=codes.append)
    thread = threading.Thread(target=lifecycle.run, args=(site.config(),))
    thread.start()
    until(lambda: lifecycle.service is not None)
    lifecycle.stop()
    thread.join(20)
    until(lambda: all(other.name != "end" for other in threading.enumerate()))
    assert codes == []
