"""Tests for `edge-results send`: from sidecars to files and messages, by the real command."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge.failpoints import SENDING, VARIABLE
from edge.results.cli import main
from edge.results.document.result import Person
from edge.results.issued.issued import Issued
from edge.results.verification.folder import write_verification
from edge.results.verification.verification_file import VerificationFile
from edge.sidecar import now
from tests.support.mllp_server import MllpServer, control_id, mllp_server, says
from tests.support.notify_socket import listening
from tests.support.sidecar_tree import export, outcome
from tests.support.waiting import until

CELLS = {"neutrophil": 12, "lymphocyte": 6, "monocyte": 2}


class Lab:
    """A laboratory's folders, and the command on them."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.export = folder / "export"
        self.results = folder / "results"
        self.drop = folder / "lis"
        for made in (self.export, self.results, self.drop, folder / "verifications"):
            made.mkdir()
        self.settings: dict[str, Any] = {
            "state_dir": "state",
            "sidecars": {"folder": "results", "images": "export"},
            "slides": {"quiet_s": 0, "verifications": "verifications"},
            "poll_s": 0.1,
            "targets": [
                {"name": "senaite", "format": "senaite", "drop": "lis"},
                {
                    "name": "lis",
                    "format": "hl7-oru",
                    "mllp": f"127.0.0.1:{port}",
                    "retry": {"failures": 2, "first_delay_s": 0.01, "max_delay_s": 0.02},
                },
            ],
        }

    def slide(self, sample: str, **cells: int) -> None:
        """Labelled images of a slide."""
        for label, count in (cells or CELLS).items():
            for number in range(count):
                name = f"{sample}/1/{label}{number}.jpg"
                found = outcome(name.encode(), label)
                where = partial(export, self.export, name, found, results=self.results)
                where(sample_id=sample, slide_id="1")

    def verify(self, sample: str, *, revision: int = 1, reason: str | None = None) -> None:
        """A person's word on all cells that are there; with a reason, one has another label."""
        labels = {}
        for path in sorted((self.results / sample).rglob("*.json")):
            fields = json.loads(path.read_bytes())
            labels[fields["image"]["sha256"]] = fields["label"]
        if reason:
            labels[next(iter(labels))] = "ig"
        by = Person("mm", "Dr. Mina Müller")
        said = VerificationFile(sample, "1", revision, by, now(), labels, reason=reason)
        write_verification(self.folder / "verifications", said)

    def words(self, *words: str) -> list[str]:
        path = self.folder / "results.yaml"
        path.write_text(json.dumps(self.settings))
        return ["send", "--config", str(path), *words]

    def command(self, *words: str) -> list[str]:
        """For a process of its own, whose start takes a second."""
        return [sys.executable, "-m", "edge.results.cli", *self.words(*words)]

    def run(self, *words: str, code: int = 0) -> str:
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            assert main(self.words(*words)) == code, said.getvalue()
        return said.getvalue()

    def kill(self, step: str) -> None:
        """A process that is killed while it sends."""
        environment = {**os.environ, VARIABLE: f"{step}=kill"}
        done = subprocess.run(
            self.command("--once"), env=environment, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture
def server() -> Iterator[MllpServer]:
    with mllp_server() as server:
        yield server


@pytest.fixture
def lab(tmp_path: Path, server: MllpServer) -> Lab:
    return Lab(tmp_path, server.port)


def test_once_sends_verified_slides_and_their_corrections_alone(
    lab: Lab, server: MllpServer
) -> None:
    lab.slide("S1")
    lab.slide("S2")
    lab.run("--once")
    assert (list(lab.drop.iterdir()), server.received) == ([], [])
    lab.verify("S1")
    said = lab.run("--once")
    assert "S1" not in said
    (file,) = lab.drop.iterdir()
    assert file.read_text().splitlines()[1].startswith("S1,")
    (message,) = server.received
    assert b"|S1|" in message
    lab.verify("S1", revision=2, reason="a label was wrong")
    lab.run("--once")
    assert len(list(lab.drop.iterdir())) == len(server.received) == 2
    # Nothing is new.
    lab.run("--once")
    assert len(list(lab.drop.iterdir())) == len(server.received) == 2


def test_held_slide_and_broken_sidecar_name_the_command_that_shows_them(lab: Lab) -> None:
    lab.slide("S1")
    rows = "path,sample_id,slide_id,cells\nS1/1,S1,1,3\n"
    (lab.export / "manifest.csv").write_text(rows)
    (lab.results / "torn.jpg.json").write_text("{")
    held, broken = lab.run("--once").splitlines()
    assert held.endswith("20 images are there, the manifest expects 3; see edge-results show")
    assert broken.startswith("1 x sidecar not_json: ")
    assert broken.endswith("; see edge-results verify")


def test_held_result_is_shown_released_and_given_up(lab: Lab, server: MllpServer) -> None:
    lab.slide("S1")
    lab.run("--once")
    lab.verify("S1")
    server.then(says("AR", "no order"), says("AR"))
    assert "lis: 1 held; see --status" in lab.run("--once", code=1)
    status = lab.run("--status")
    assert "lis: sample S1" in status
    assert "refused it (AR): no order" in status
    number = next(line.split()[0] for line in status.splitlines() if "lis: sample" in line)
    lab.run("--release", number)
    lab.run("--once", code=1)
    assert "needs --reason" in lab.run("--give-up", number, code=2)
    assert "gave up" in lab.run("--give-up", number, "--reason", "typed by hand")
    lab.run("--once")
    assert len(server.received) == 2
    assert "no held result has the number" in lab.run("--release", number, code=2)


def test_watch_tells_systemd_sends_what_comes_and_ends_at_once(
    lab: Lab, server: MllpServer, tmp_path: Path
) -> None:
    address = str(tmp_path / "notify")
    environment = {**os.environ, "NOTIFY_SOCKET": address}
    with (
        listening(address) as systemd,
        subprocess.Popen(
            lab.command("--watch"), env=environment, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        systemd.settimeout(30)
        assert systemd.recv(4096) == b"READY=1"
        lab.slide("S1")
        until(lambda: b"WATCHDOG=1" in systemd.recv(4096))
        until((lab.folder / "state" / "issued.sqlite3").exists)
        other = lab.run("--once", code=6)
        assert "in use by another edge-results send" in other
        # A person verifies what the service has issued.
        until(lambda: _is_issued(lab, systemd), timeout_s=60)
        lab.verify("S1")
        until(lambda: _has(systemd, server.received), timeout_s=60)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "S1" not in said
    assert len(list(lab.drop.iterdir())) == 1


def _has(systemd: socket.socket, found: list[bytes]) -> bool:
    """Whether something has arrived; the service's messages must not fill its socket."""
    systemd.recv(4096)
    return bool(found)


def _is_issued(lab: Lab, systemd: socket.socket) -> bool:
    systemd.recv(4096)
    with Issued.open(lab.folder / "state") as issued:
        return issued.newest() > 0


@pytest.mark.parametrize("step", SENDING)
def test_send_killed_at_any_step_sends_each_result_once(
    lab: Lab, server: MllpServer, step: str
) -> None:
    lab.slide("S1", neutrophil=3)
    lab.run("--once")
    lab.verify("S1")
    lab.kill(step)
    lab.run("--once")
    lab.run("--once")
    assert len(list(lab.drop.iterdir())) == 1
    assert 1 <= len(server.received) <= 2
    assert len(set(server.received)) == 1
    assert len({control_id(message) for message in server.received}) == 1


def test_wrong_configuration_names_the_nearest_key_and_ends_with_2(lab: Lab) -> None:
    lab.settings["targts"] = lab.settings.pop("targets")
    assert "did you mean 'targets'" in lab.run("--once", code=2)


def test_once_with_nothing_to_send_says_so(lab: Lab) -> None:
    assert lab.run("--once") == (
        "nothing to send; edge-results show --config tells what is incomplete or held\n"
    )


def test_damaged_outbox_is_one_line_and_ends_with_6(lab: Lab) -> None:
    lab.run("--once")
    database = lab.folder / "state" / "outbox.sqlite3"
    digest = hashlib.sha256(b"x" * 8192).hexdigest()
    database.write_bytes(b"x" * 8192)
    said = lab.run("--once", code=6)
    assert said.startswith("error: the outbox")
    assert said.count("\n") == 1
    assert hashlib.sha256(database.read_bytes()).hexdigest() == digest


def test_outbox_that_was_lost_is_told_before_anything_is_sent(lab: Lab) -> None:
    lab.slide("S1", neutrophil=3)
    lab.run("--once")
    for path in (lab.folder / "state").glob("outbox.sqlite3*"):
        path.unlink()
    for _ in range(2):
        said = lab.run("--once", code=6)
        assert "issued.sqlite3 has 1 result, and the outbox beside it is new" in said
        assert said.count("\n") == 1
    for target in lab.settings["targets"]:
        target |= {"since": "2026-01-01T00:00:00Z", "states": ["preliminary", "final", "corrected"]}
    lab.settings["targets"][0]["format"] = "json"
    lab.run("--once")
    assert len(list(lab.drop.iterdir())) == 1


def test_once_does_not_promise_to_try_again_by_itself(lab: Lab, server: MllpServer) -> None:
    lab.settings["targets"][1]["retry"] |= {"first_delay_s": 60, "max_delay_s": 60}
    lab.slide("S1", neutrophil=3)
    lab.run("--once")
    lab.verify("S1")
    server.then(says("AE"))
    assert "failed (AE), tried again at the next start" in lab.run("--once", code=1)
    server.stop()
    said = lab.run("--once", code=1)
    assert "Connection refused; tried again at the next start" in said
    status = lab.run("--status")
    assert "2 attempts, 1 failure that counts" in status
    # The preliminary result is for neither target.
    assert status.endswith("sent to no target:\n  1 preliminary: no target takes these\n")


def test_paths_that_are_not_there_are_told_at_the_start(lab: Lab) -> None:
    lab.slide("S1", neutrophil=3)
    manifest = lab.folder / "slides.csv"
    lab.settings["slides"]["manifest"] = manifest.name
    first, *others = lab.run("--once").splitlines()
    assert first == f"slides.manifest: {manifest} is not there; all images are held until it is"
    assert all("is not there" not in line for line in others)
    manifest.write_text("path,sample_id\nS1,S1\n")
    lab.settings["slides"]["verifications"] = "vreifications"
    (line,) = lab.run("--once").splitlines()
    assert line.startswith(f"slides.verifications: {lab.folder}/vreifications is not there")


def test_status_before_anything_was_sent_says_so(lab: Lab) -> None:
    assert "nothing was sent with this configuration yet" in lab.run("--status", code=6)
    assert not (lab.folder / "state").exists()


def test_one_sidecar_with_a_time_that_is_none_in_utc_does_not_stop_the_others(lab: Lab) -> None:
    lab.settings["targets"] = [
        {"name": "all", "format": "json", "drop": "lis", "states": ["preliminary"]}
    ]
    lab.slide("S1", neutrophil=3)
    lab.slide("S2", neutrophil=3)
    sidecar = next((lab.results / "S1").rglob("*.json"))
    fields = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(fields | {"created": "0001-01-01T00:00:00+14:00"}))
    assert "1 x sidecar wrong_value: created is a time that does not exist" in lab.run("--once")
    assert [json.loads(p.read_text())["sample_id"] for p in lab.drop.iterdir()] == ["S2"]


def test_name_of_a_held_verification_is_not_logged(lab: Lab) -> None:
    lab.slide("S1", neutrophil=3)
    (lab.folder / "verifications" / "PATIENT7.json").write_text("{")
    said = lab.run("--once")
    assert "file held: a verification file: it is no verification" in said
    assert "PATIENT7" not in said


@pytest.mark.parametrize("number", ["9" * 30, "-1", "x"])
def test_impossible_number_of_a_result_is_wrong_usage(lab: Lab, number: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["send", "--config", str(lab.folder / "x.yaml"), "--release", number])
    assert ended.value.code == 2
