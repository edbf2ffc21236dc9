"""Tests for what a running service tells: metrics, health and status, and what it must not tell."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.health.health import HEALTH_NAME, Health, HealthStatus
from daemon.health.metrics import Metrics
from daemon.supervision.reporter import Reporter
from tests.daemon.supervision.reports import NAME, SAMPLE, SLIDE
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def fetch(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def kernel_table(pid: int, name: str) -> list[list[str]]:
    return [row.split() for row in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]]


def listening_sockets(pid: int) -> list[str]:
    """What a process listens on, from its descriptors and the kernel's tables."""
    own = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            own.add(str(fd.readlink()))
    inodes = {name[8:-1] for name in own if name.startswith("socket:[")}
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        rows = [
            row.split() for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        ]
        is_udp = table.startswith("udp")
        found += [row[1] for row in rows if row[9] in inodes and (is_udp or row[3] == "0A")]
    accepts = 1 << 16
    rows = kernel_table(pid, "unix")
    return found + [row[-1] for row in rows if row[6] in inodes and int(row[3], 16) & accepts]


def test_scrapes_of_a_busy_service_are_whole_and_name_no_image(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    site.settings |= {"metrics": {"listen": f"127.0.0.1:{port}", "file": "edge.prom"}}
    caplog.set_level(logging.DEBUG, "daemon")
    good, count = colour_jpeg("red"), 200
    backlog = ("microscope_edge_backlog_images", "waiting")
    counted = ("microscope_edge_latency_seconds_count",)
    pages: list[str] = []
    done = threading.Event()

    def scrape() -> None:
        while not done.is_set():
            pages.extend(fetch(port, path) for path in ("/metrics", "/health"))

    with site.running():
        until(lambda: listening_sockets(os.getpid()) != [])
        scraper = threading.Thread(target=scrape)
        scraper.start()
        try:
            for number in range(count):
                content = good if number % 4 else b"no image"
                site.add(f"{SAMPLE}/{SLIDE}/{NAME}-{number}.jpg", content, age_s=3600)
            until(lambda: len(site.outcomes()) == count, timeout_s=30)
            until(lambda: {row[0] for row in site.outcomes().values()} == {"done"}, timeout_s=30)
            until(lambda: samples(fetch(port, "/metrics"))[backlog] == 0)
            # Counted just after the journal has the outcome.
            until(lambda: samples(fetch(port, "/metrics"))[counted] == count)
            until(lambda: json.loads(fetch(port, "/health"))["canary_age_s"] is not None)
        finally:
            done.set()
            scraper.join()
        last, health = fetch(port, "/metrics"), json.loads(fetch(port, "/health"))
        prom_file = (site.folder / "edge.prom").read_text()
        status_file = (site.folder / "state" / HEALTH_NAME).read_text()
    found = samples(last)
    assert found["microscope_edge_images_total", "labelled"] == 150
    assert found["microscope_edge_rejections_total", "unsupported_format"] == 50
    assert found["microscope_edge_labels_total", "red"] == 150
    assert found["microscope_edge_latency_seconds_count",] == 200
    assert found["microscope_edge_watch_folder_there", "0"] == 1
    assert found["microscope_edge_journal_bytes",] > 4096
    assert (health["status"], health["backend"]) == ("ok", "onnxruntime-cpu")
    assert health["canary_age_s"] < 10
    assert len(pages) > 4
    told = "\n".join([*pages, last, json.dumps(health), status_file, prom_file, caplog.text])
    assert not (site.folder / "edge.prom").exists()
    for secret in (SAMPLE, SLIDE, NAME):
        assert secret not in told
    assert "rejected: unsupported_format" in told


def test_service_without_metrics_listens_on_nothing(site: Site) -> None:
    process = site.start("run")
    try:
        until((site.folder / "state" / HEALTH_NAME).exists)
        assert listening_sockets(process.pid) == []
        assert not list(site.folder.glob("*.prom"))
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_service_with_metrics_listens_on_this_machine_alone(site: Site) -> None:
    port = free_port()
    site.settings["metrics"] = {"listen": f"127.0.0.1:{port}"}
    process = site.start("run")
    try:
        until(lambda: listening_sockets(process.pid) == [f"0100007F:{port:04X}"])
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_client_that_hangs_keeps_no_image_from_its_label_and_the_service_from_its_end(
    site: Site, colour_jpeg: Jpeg
) -> None:
    port = free_port()
    site.settings["metrics"] = {"listen": f"127.0.0.1:{port}"}
    with site.running():
        until(lambda: listening_sockets(os.getpid()) != [])
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        site.add("S1/1/a.jpg", colour_jpeg("green"))
        until(lambda: site.has_sidecar("S1/1/a.jpg"))
    for client in clients:
        client.close()
    assert site.sidecar("S1/1/a.jpg")["label"] == "green"


def test_port_in_use_is_said_once_and_images_are_labelled_all_the_same(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        site.settings["metrics"] = {"listen": f"127.0.0.1:{port}"}
        with site.running():
            site.add("S1/1/a.jpg", colour_jpeg("red"))
            until(lambda: site.has_sidecar("S1/1/a.jpg"))
            until(lambda: "metrics.listen" in caplog.text)
    said = [record for record in caplog.records if "metrics.listen" in record.getMessage()]
    assert [record.levelname for record in said] == ["ERROR"]
    assert f"127.0.0.1:{port} cannot be used (Address already in use)" in caplog.text


def test_reporter_whose_port_and_folder_come_back_recovers(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, health = Clock(), Health()
    (tmp_path / "state").mkdir()
    file = tmp_path / "node" / "edge.prom"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        site.settings["metrics"] = {"listen": listen, "file": str(file)}
        reporter = Reporter(site.config(), health, Metrics(health), clock=clock)
        for _ in range(3):
            reporter.tick()
            clock.now_s += 60
    assert health.report().status is HealthStatus.DEGRADED
    assert health.report().reasons == ("metrics: see the log", "metrics file: see the log")
    file.parent.mkdir()
    with reporter.running():
        until(file.exists)
        until(lambda: health.report().status is HealthStatus.OK)
        assert b"microscope_edge_up 1.0" in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o644
        assert list(file.parent.iterdir()) == [file]
    assert [r.levelname for r in caplog.records] == ["ERROR", "ERROR", "WARNING", "WARNING"]


def test_reporter_whose_count_fails_goes_on_and_recovers_when_it_works(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, health = Clock(), Health()
    (tmp_path / "state").mkdir()
    reporter = Reporter(site.config(), health, Metrics(health), clock=clock)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.supervision.reporter.read_queue", fail)
        # In every other tick no count is due: that proves nothing.
        for _ in range(10):
            reporter.tick()
            clock.now_s += 1
        assert health.report().reasons == ("reporter: see the log",)
        assert (tmp_path / "state" / HEALTH_NAME).exists()
    clock.now_s += 2
    reporter.tick()
    assert health.report().status is HealthStatus.OK
    assert [record.getMessage() for record in caplog.records] == [
        "the report 'count' failed: ZeroDivisionError. It is retried.",
        "every report works again",
    ]
