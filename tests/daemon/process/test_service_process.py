"""SIGHUP, and a journal whose disk fails: the service goes on in the same process."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.health.health import HEALTH_NAME
from daemon.journal.journal import Journal
from daemon.supervision.running_daemon import read_running
from edge.errors import BundleError, StorageError
from tests.daemon.process.living import living
from tests.support.images import Jpeg
from tests.support.site import ROOT, Site
from tests.support.waiting import until


def test_a_right_configuration_is_taken_without_losing_an_image(
    site: Site, colour_jpeg: Jpeg
) -> None:
    with living(site) as lifecycle:
        site.add("S1/A/1.jpg", colour_jpeg("red"))
        until(lambda: site.has_sidecar("S1/A/1.jpg"))
        (site.folder / "elsewhere").mkdir()
        site.settings["watch"].append({"folder": "elsewhere"})
        site.settings["results"]["formats"] = ["json"]
        assert site.config_path.exists()
        lifecycle.reload()
        path = site.folder / "elsewhere" / "2.jpg"
        path.write_bytes(colour_jpeg("blue"))
        until((site.results / "elsewhere" / "2.jpg.json").exists)
        assert not (site.results / "elsewhere" / "2.jpg.csv").exists()
    assert site.outcomes()["2.jpg"][:3] == ("done", "labelled", "blue")


def test_a_wrong_configuration_is_refused_whole_and_the_old_one_goes_on(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture
) -> None:
    with living(site) as lifecycle:
        site.add("S1/A/1.jpg", colour_jpeg("red"))
        until(lambda: site.has_sidecar("S1/A/1.jpg"))
        right = site.config_path.read_text()
        (site.folder / "edge.yaml").write_text(right + "settle: 3\nworkers: 0\n")
        lifecycle.reload()
        until(lambda: "keeps the previous one" in caplog.text)
        assert "settle" in caplog.text
        assert "workers" in caplog.text
        site.add("S1/A/2.jpg", colour_jpeg("blue"))
        until(lambda: site.has_sidecar("S1/A/2.jpg"))
        (site.folder / "edge.yaml").write_text(right)


def test_sighup_tells_systemd_and_ends_with_ready(
    site: Site, tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(20)
        process = site.start("run", NOTIFY_SOCKET=address)
        try:
            wait_for(server, "READY=1")
            for broken in (True, False):
                text = "nonsense: 1\n" if broken else ""
                right = site.config_path.read_text()
                (site.folder / "edge.yaml").write_text(right + text)
                process.send_signal(signal.SIGHUP)
                reloading = wait_for(server, "RELOADING=1")
                assert any(line.startswith("MONOTONIC_USEC=") for line in reloading)
                if not broken:
                    # The last batches may take longer than the time between two beats.
                    wait_for(server, "EXTEND_TIMEOUT_USEC=25000000")
                    # Opening may take longer than the time between two beats.
                    wait_for(server, "EXTEND_TIMEOUT_USEC=60000000")
                wait_for(server, "READY=1")
            site.add("S1/A/1.jpg", colour_jpeg("red"))
            until(lambda: site.has_sidecar("S1/A/1.jpg"))
            process.send_signal(signal.SIGTERM)
            wait_for(server, "STOPPING=1")
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert "nonsense is not a known key" in said


def wait_for(server: socket.socket, text: str) -> list[str]:
    """The lines of the message that holds a line."""
    while True:
        lines = server.recv(4096).decode().splitlines()
        if text in lines:
            return lines


def test_a_journal_that_refuses_is_waited_for_and_said_once(
    site: Site,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("daemon.service_process._FIRST_WAIT_S", 0.05)
    monkeypatch.setattr("daemon.service_process._BEAT_S", 0.02)
    is_full, refused = threading.Event(), list[object]()

    def refuse_where_full(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if is_full.is_set():
                refused.append(original)
                raise StorageError("the journal refuses: disk full") from OSError(
                    errno.ENOSPC, "No space left on device"
                )
            return original(*arguments, **options)

        return call

    for name in ("claim", "conclude", "release", "check_writable", "record_waiting"):
        monkeypatch.setattr(Journal, name, refuse_where_full(getattr(Journal, name)))
    with living(site):
        site.add("S1/A/1.jpg", colour_jpeg("red"))
        until(lambda: site.has_sidecar("S1/A/1.jpg"))
        is_full.set()
        for number in range(2, 6):
            site.add(f"S1/A/{number}.jpg", colour_jpeg("green", seed=number))
        # The next services in the process meet the full disk as well.
        until(lambda: len(refused) > 3)
        assert not site.has_sidecar("S1/A/2.jpg")
        is_full.clear()
        until(lambda: all(site.has_sidecar(f"S1/A/{n}.jpg") for n in range(2, 6)), timeout_s=30)
    assert {row[:3] for path, row in site.outcomes().items() if "1.jpg" not in path} == {
        ("done", "labelled", "green")
    }
    said = [r.message for r in caplog.records if r.levelno >= logging.ERROR]
    assert sum("disk full" in text for text in said) == 1
    assert sum("resumes by itself" in text for text in said) == 1


def test_an_outcome_that_the_journal_refuses_again_and_again_is_held_against_no_image(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.service_process._FIRST_WAIT_S", 0.02)
    monkeypatch.setattr("daemon.service_process._LONGEST_WAIT_S", 0.05)
    monkeypatch.setattr("daemon.model.label_job.INTERRUPTION_LIMIT", 2)
    refused: list[object] = []

    def refuse_often(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if len(refused) < 10:
                refused.append(original)
                raise StorageError("the journal refuses: disk full")
            return original(*arguments, **options)

        return call

    # The image stays claimed, and the next service in the process takes it back.
    for name in ("conclude", "release"):
        monkeypatch.setattr(Journal, name, refuse_often(getattr(Journal, name)))
    site.add("S1/A/1.jpg", colour_jpeg("red"))
    with living(site):
        until(lambda: site.outcomes().get("S1/A/1.jpg", ("",))[0] == "done", timeout_s=30)
    assert site.outcomes()["S1/A/1.jpg"][:3] == ("done", "labelled", "red")
    assert len(refused) == 10


def has_ended() -> bool:
    """Whether the thread of `living` has."""
    return all(thread.name != "lifecycle" for thread in threading.enumerate())


def test_a_journal_that_refuses_at_the_first_start_is_an_error(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_journal: Journal) -> None:
        raise StorageError("the journal refuses: disk full")

    monkeypatch.setattr(Journal, "check_writable", refuse)
    with pytest.raises(StorageError, match="disk full"), living(site):
        until(has_ended)


def test_a_bundle_that_is_broken_at_a_reload_is_refused_and_the_open_model_goes_on(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture
) -> None:
    model = Path(site.settings["bundle"]) / "model.int8.onnx"
    with living(site) as lifecycle:
        site.add("S1/A/1.jpg", colour_jpeg("red"))
        until(lambda: site.has_sidecar("S1/A/1.jpg"))
        content = model.read_bytes()
        model.write_bytes(content[:-1])
        lifecycle.reload()
        until(lambda: "is not the file that was converted" in caplog.text)
        site.add("S1/A/2.jpg", colour_jpeg("blue"))
        until(lambda: site.has_sidecar("S1/A/2.jpg"))
        model.write_bytes(content)


def test_a_broken_bundle_at_the_first_start_is_an_error(site: Site) -> None:
    model = Path(site.settings["bundle"]) / "model.int8.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(BundleError), living(site):
        until(has_ended)


def said_to_be(site: Site) -> tuple[int | None, str | None]:
    """Process and health, as `edge-daemon status` has them."""
    running = read_running(site.folder / "state")
    return running.pid, running.health["status"] if running.health else None


def test_a_process_that_is_stopped_while_it_waits_for_the_disk_ends(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with living(site) as lifecycle:
        until(lambda: lifecycle.service is not None)

        def refuse(_journal: Journal) -> None:
            raise StorageError("the journal refuses: disk full")

        monkeypatch.setattr(Journal, "check_writable", refuse)
        until(lambda: "labelling is paused" in caplog.text, timeout_s=20)
        assert not site.has_sidecar("S1/A/1.jpg")
        # It holds no lock then; a health of "ok" from before would be shown for 30 s.
        until(lambda: said_to_be(site) == (os.getpid(), "failing"))
    # `living` has asserted that the thread has ended.


def test_log_that_nobody_reads_stops_neither_the_labelling_nor_the_end(
    site: Site, colour_jpeg: Jpeg
) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b".")
    os.set_blocking(writer, True)
    site.settings["log"] = {"level": "debug"}
    process = subprocess.Popen(site.command("run"), cwd=ROOT, stderr=writer)
    try:
        for number in range(3):
            site.add(f"S1/{number}.jpg", colour_jpeg("red", seed=number))
            until(lambda n=number: site.has_sidecar(f"S1/{n}.jpg"))  # type: ignore[misc]
        health = site.folder / "state" / HEALTH_NAME
        until(lambda: health.exists() and "nobody reads the log" in health.read_text())
        assert json.loads(health.read_text())["status"] == "degraded"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        os.close(writer)
