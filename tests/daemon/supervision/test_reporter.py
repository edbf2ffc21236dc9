"""Tests for what a running service tells: metrics, health and status, and what it must not tell."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.cli import main
from daemon.health.health import Health, HealthStatus
from daemon.health.metrics import Metrics
from daemon.install.installed_config import is_installed
from daemon.supervision.reporter import HEALTH_NAME, Reporter
from daemon.supervision.running_daemon import Running, read_running
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

SAMPLE, SLIDE, NAME = "SMP-471108", "slide-815", "cell-2342"


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


def status(site: Site, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["status", *words, "--config", str(site.config_path)]) == 0
    return capsys.readouterr().out


def test_status_says_who_runs_and_what_it_said_last(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.settings["precision"] = "int8"
    site.add(f"{SAMPLE}/1/a.jpg", b"")
    with site.running():
        until((site.folder / "state" / HEALTH_NAME).exists)
        until(lambda: len(site.outcomes()) == 1)
        fields = json.loads(status(site, capsys, "--json"))
        assert fields["daemon"]["pid"] == os.getpid()
        assert fields["daemon"]["health"]["model"] == "colours 1"
        text = status(site, capsys)
    assert f"process {os.getpid()}" in text
    assert "colours 1, int8 on onnxruntime-cpu (model.int8.onnx)" in text
    assert "health    ok" in text
    assert "NOT RUNNING" not in text


def test_status_after_the_daemon_was_killed_does_not_trust_what_it_left(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("S1/1/a.jpg", colour_jpeg("red"))
    process = site.start("run")
    until((site.folder / "state" / HEALTH_NAME).exists)
    until(lambda: site.has_sidecar("S1/1/a.jpg"))
    assert read_running(site.folder / "state").pid == process.pid
    process.kill()
    process.communicate()
    fields = json.loads(status(site, capsys, "--json"))
    expected = {"is_running": False, "pid": None, "silent_s": None, "health": None}
    assert fields["daemon"] == expected
    text = status(site, capsys)
    assert "daemon    NOT RUNNING" in text
    # No unit reads this configuration, so that none can be started.
    assert f"    edge-daemon once --config {site.config_path}" in text
    assert "systemctl" not in text


def test_status_of_an_installed_daemon_that_does_not_run_says_how_to_start_it(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["once", "--config", str(site.config_path)]) == 0
    assert not is_installed(site.config_path)
    monkeypatch.setattr("daemon.operator.status.is_installed", lambda _: True)
    capsys.readouterr()
    text = status(site, capsys)
    assert "    systemctl start edge-daemon" in text
    # A start that failed is told there alone.
    assert "    journalctl -u edge-daemon -n 50" in text


def test_status_of_a_daemon_that_has_gone_silent_says_so(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site.folder / "state" / HEALTH_NAME
    with site.running():
        until(path.exists)
        fields = json.loads(path.read_text())
        path.write_text(json.dumps(fields | {"written_at": fields["written_at"] - 3700}))
        text = status(site, capsys)
    assert "health    UNKNOWN" in text
    assert "no status was written for 1 h 1 min" in text


def test_status_tells_meaning_and_remedy_and_retry_takes_one_reason(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.settings["limits"] = {"max_bytes": 1000}
    site.add("S1/1/large.jpg", colour_jpeg("red"))
    site.add("S1/1/empty.jpg", b"", age_s=3600)
    site.add("S1/1/small.jpg", b"none", age_s=3600)
    assert main(["once", "--config", str(site.config_path)]) == 0
    text = status(site, capsys)
    assert "too_large: more bytes than limits.max_bytes" in text
    assert "empty: the file has no bytes" in text
    assert f"edge-daemon retry --config {site.config_path} --reason too_large\n" in text
    lines = [line for line in text.splitlines() if str(site.folder) not in line]
    assert max(len(line) for line in lines) <= 80
    site.settings["limits"] = {"max_bytes": 100_000}
    assert main(["retry", "--reason", "too_large", "--config", str(site.config_path)]) == 0
    assert capsys.readouterr().out == "to be labelled again: 1\n"
    assert main(["once", "--config", str(site.config_path)]) == 0
    assert site.sidecar("S1/1/large.jpg")["label"] == "red"
    assert site.outcomes()["S1/1/empty.jpg"][3] == "empty"


def test_retry_of_an_unknown_reason_is_refused(site: Site) -> None:
    with pytest.raises(SystemExit):
        main(["retry", "--reason", "to_large", "--config", str(site.config_path)])


def test_running_is_not_fooled_by_who_waits_for_the_lock_or_held_it_before(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    locks = tmp_path / "locks"
    inode = lock.stat().st_ino
    locks.write_text(
        f"1: -> FLOCK  ADVISORY  WRITE 4712 fe:00:{inode} 0 EOF\n"
        f"1: FLOCK  ADVISORY  WRITE 4711 fe:00:{inode} 0 EOF\n"
        f"2: POSIX  ADVISORY  WRITE 4713 fe:00:{inode} 0 EOF\n"
    )
    # A daemon that was killed has left this; process 4711 may be an `edge-daemon once`.
    health = {"pid": 4710, "written_at": time.time()}
    (tmp_path / HEALTH_NAME).write_text(json.dumps(health))
    assert read_running(tmp_path, locks=locks) == Running(4711)
    locks.write_text("")
    assert read_running(tmp_path, locks=locks).pid is None


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"{" + b'"a":' * 2000,
        b" " * 2_000_000,
        b'{"pid": ' + b"1" * 5000 + b"}",
        b"[]",
        b'{"pid": %d}',
        b'{"pid": %d, "written_at": "x"}',
        b'{"pid": %d, "written_at": NaN, "since": "2026-01-01", "status": "ok", "reasons": []}',
        b'{"pid": %d, "written_at": 1.0, "since": "2026-13-45", "status": "ok", "reasons": []}',
        b'{"pid": %d, "written_at": 1.0, "since": "2026-01-01", "status": "ok", "reasons": [1]}',
    ],
)
def test_status_passes_over_a_health_that_somebody_changed(
    site: Site, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = site.folder / "state" / HEALTH_NAME
    with site.running():
        until(path.exists)
        path.write_bytes(content.replace(b"%d", str(os.getpid()).encode()))
        text = status(site, capsys)
    assert f"daemon    process {os.getpid()}" in text


def test_status_shows_no_control_character_of_names_and_files(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site.folder / "state" / HEALTH_NAME
    site.add("S1/\x1b[2J\nrejected  no\udc80.jpg", b"")
    with site.running():
        until(lambda: [row[0] for row in site.outcomes().values()] == ["done"])
        until(path.exists)
        fields = json.loads(path.read_text())
        path.write_text(json.dumps(fields | {"reasons": ["\x1b[31mred\nhealth ok"]}))
        text = status(site, capsys)
    assert "\x1b" not in text
    assert not any(line.startswith(("rejected  no", "health ok")) for line in text.splitlines())
    assert r"- \x1b[31mred" in text
    assert r"\x1b[2J\nrejected  no\x80.jpg" in text
