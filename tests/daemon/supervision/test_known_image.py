"""Tests for daemon.supervision.known_image: what a golden image that does not pass ends."""

from __future__ import annotations

import select
import socket
import threading
from pathlib import Path

import pytest

from daemon.startup import opened_service
from daemon.supervision.known_image import KnownImage
from daemon.supervision.supervisor import Supervisor
from edge.errors import EdgeError, StorageError, TransientError
from edge.image_files.limits import ImageLimits
from edge.image_files.read import ImageFile, read_file
from edge.system.notifier import Notifier
from tests.daemon.supervision.bench import Bench
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


def test_no_beat_while_something_hangs_and_beats_again_afterwards(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "notify")
    passes = KnownImage.pass_once
    is_free = threading.Event()
    is_free.set()

    def stuck(known_image: KnownImage) -> None:
        is_free.wait(60)
        passes(known_image)

    checks: list[str | None] = []
    check = Supervisor.check

    def note_check(supervisor: Supervisor) -> str | None:
        checks.append(check(supervisor))
        return checks[-1]

    monkeypatch.setattr(Supervisor, "check", note_check)
    monkeypatch.setattr(KnownImage, "pass_once", stuck)
    # Longer than the coordinator of an idle service waits.
    monkeypatch.setattr("daemon.supervision.supervisor.HUNG_AFTER_S", 1.0)
    monkeypatch.setattr("daemon.supervision.supervisor.INTERVAL_S", 0.1)
    monkeypatch.setattr("daemon.supervision.supervisor.TICK_S", 0.05)
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(0)
        with opened_service(site.config(), notifier=notifier) as service:
            thread = threading.Thread(target=service.run)
            thread.start()
            try:
                until(lambda: "WATCHDOG=1" in heard(server))
                is_free.clear()
                until(lambda: "known image" in str(checks[-1]))
                heard(server)
                checks.clear()
                until(lambda: len(checks) > 5)
                assert "WATCHDOG=1" not in heard(server)
                is_free.set()
                until(lambda: "WATCHDOG=1" in heard(server))
            finally:
                is_free.set()
                service.stop()
                thread.join(20)


def heard(server: socket.socket) -> list[str]:
    """What systemd was told since the last call."""
    found: list[str] = []
    while select.select([server], [], [], 0)[0]:
        found += server.recv(4096).decode().splitlines()
    return found


def test_a_known_image_whose_sidecar_cannot_be_written_ends_the_service_with_a_storage_error(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.supervision.supervisor.INTERVAL_S", 0.05)

    passes = KnownImage.pass_once

    def refuse_in_the_end(known_image: KnownImage) -> None:
        if site.has_sidecar("S1/A/1.jpg"):
            raise StorageError("the disk refuses")
        passes(known_image)

    monkeypatch.setattr(KnownImage, "pass_once", refuse_in_the_end)
    site.add("S1/A/1.jpg", colour_jpeg("red"))
    refused = pytest.raises(StorageError, match="the disk refuses")
    with opened_service(site.config()) as service, refused:
        service.run()
    assert site.has_sidecar("S1/A/1.jpg")


def test_a_known_image_that_cannot_be_read_once_goes_on(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.supervision.supervisor.INTERVAL_S", 0.05)
    passed: list[str] = []
    passes = KnownImage.pass_once

    def noted(known_image: KnownImage) -> None:
        passes(known_image)
        passed.append(known_image.step)

    def without_descriptors(path: Path, limits: ImageLimits) -> ImageFile:
        if path.parent.name == "golden" and not refused.is_set():
            refused.set()
            raise TransientError("no descriptor")
        return read_file(path, limits)

    with site.running():
        refused = threading.Event()
        monkeypatch.setattr("edge.labeller.read_file", without_descriptors)
        monkeypatch.setattr(KnownImage, "pass_once", noted)
        until(refused.is_set)
        until(lambda: passed != [])
        site.add("S1/A/1.jpg", colour_jpeg("red"))
        until(lambda: site.has_sidecar("S1/A/1.jpg"))


def test_a_known_image_that_fails_unexpectedly_ends_the_service(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.supervision.supervisor.INTERVAL_S", 0.05)

    def fail(_known_image: KnownImage) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(KnownImage, "pass_once", fail)
    with opened_service(site.config()) as service, pytest.raises(EdgeError, match="ZeroDivision"):
        service.run()


def test_the_known_image_passes_whatever_limits_the_site_sets(site: Site) -> None:
    golden = Path(site.settings["bundle"]) / "golden"
    assert min(path.stat().st_size for path in golden.glob("*.jpg")) > 1000
    site.settings["limits"] = {"max_bytes": 1000, "max_pixels": 1024}
    with opened_service(site.config()) as service:
        Bench(service).watched.known_image.pass_once()


def test_the_known_image_goes_on_when_the_bundle_is_replaced_on_the_disk(
    bench: Bench, site: Site
) -> None:
    bundle = Path(site.settings["bundle"])
    bundle.rename(bundle.with_name("older.edge"))
    bench.now_s += 60
    bench.watched.known_image.pass_once()
    assert bench.watched.known_image.passed_ago_s() == 0.0
