from __future__ import annotations

import http.client
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from edge.results.cli import main
from edge.results.review.people.pin_hash import PinHash
from edge.results.review.people.system_user import system_user
from edge.system.installation import install_command
from tests.support.review_site import ReviewSite, mixed_cells
from tests.support.waiting import until

COMMAND: Final = (sys.executable, "-m", "edge.results.cli", "review")
ADDRESS: Final = re.compile(r"http://(?P<host>127\.0\.0\.1:[0-9]+)(?P<path>/enter\?token=\S+)")


@pytest.fixture
def site(tmp_path: Path) -> ReviewSite:
    """A laboratory with one small slide."""
    site = ReviewSite(tmp_path)
    site.add_slide("S-26-001", mixed_cells({"neutrophil": 3}))
    return site


class Terminal(io.StringIO):
    """Standard input at which a person sits."""

    def isatty(self) -> bool:
        return True


class Window:
    """The program, and what a person sees of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.host = ""

    def address(self) -> str:
        """The path of the next address that it shows."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := ADDRESS.search(line):
                self.host = found["host"]
                return found["path"]
        raise AssertionError("the program ended without an address")

    def ask(self, path: str, cookie: str = "", **headers: str) -> tuple[int, str, Any]:
        """Status, cookie and content."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        sent = {"Sec-Fetch-Site": "same-origin", "Cookie": cookie, **headers}
        connection.request("GET", path, headers=sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, (answer.headers["set-cookie"] or "").partition(";")[0], content

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it; returns its exit code and what it wrote to standard error."""
        self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@contextmanager
def window(
    *options: object, stdin: int = subprocess.DEVNULL, environment: dict[str, str] | None = None
) -> Iterator[Window]:
    clean = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    process = subprocess.Popen(
        [*COMMAND, *map(str, options), "--port", "0"],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean | (environment or {}),
    )
    try:
        yield Window(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def test_review_shows_an_address_that_leads_to_the_slides(site: ReviewSite) -> None:
    with window("--config", site.config_file) as running:
        path = running.address()
        status, cookie, _ = running.ask(path, **{"Sec-Fetch-Site": "none"})
        assert status == 303
        assert running.ask("/", cookie)[0] == 200
        slides = json.loads(running.ask("/api/slides", cookie)[2])
        assert [slide["sample_id"] for slide in slides["slides"]] == ["S-26-001"]
        session = json.loads(running.ask("/api/session", cookie)[2])
        assert session["person"]["id"] == system_user().id
        code, errors = running.end()
    assert code == 0
    assert "S-26-001" not in errors


def test_review_of_a_path_keeps_its_record_in_the_state_folder(site: ReviewSite) -> None:
    state = site.folder / "state"
    site.config_file  # noqa: B018 - makes the folders
    with window(site.export, "--state", state, "--quiet", "0") as running:
        _, cookie, _ = running.ask(running.address(), **{"Sec-Fetch-Site": "none"})
        assert len(json.loads(running.ask("/api/slides", cookie)[2])["slides"]) == 1
        assert running.end(signal.SIGINT)[0] == 0
    assert (state / "reviews.sqlite3").exists()


def test_review_at_sigusr1_shows_a_new_address(site: ReviewSite) -> None:
    with window("--config", site.config_file) as running:
        first = running.address()
        running.process.send_signal(signal.SIGUSR1)
        second = running.address()
        assert running.ask(first, **{"Sec-Fetch-Site": "none"})[0] == 403
        assert running.ask(second, **{"Sec-Fetch-Site": "none"})[0] == 303


def test_review_at_enter_on_its_terminal_shows_a_new_address(site: ReviewSite) -> None:
    # A session whose terminal it is, as a shell's window: only there may it read.
    script = (
        "import os, sys, fcntl, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.executable, sys.argv[1:])"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", script),
            *(*COMMAND, "--config", str(site.config_file), "--port", "0", "--no-browser"),
        ],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Window(process)
    try:
        first = running.address()
        os.write(ours, b"\n")
        second = running.address()
        assert first != second
        assert running.ask(second, **{"Sec-Fetch-Site": "none"})[0] == 303
        # Ctrl+C is a byte to the terminal, and a signal to the program.
        os.write(ours, b"\x03")
        process.communicate(timeout=20)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(theirs)


def test_review_opens_the_browser_with_an_address_of_its_own(
    site: ReviewSite, tmp_path: Path
) -> None:
    # Stands for the person's browser: it notes what it is asked to open.
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o755)
    environment = {"DISPLAY": ":99", "BROWSER": str(browser)}
    with window("--config", site.config_file, environment=environment) as running:
        shown = running.address()
        until(opened.exists)
        found = ADDRESS.search(opened.read_text())
        assert found is not None
        assert found["path"] != shown
        for path in (found["path"], shown):
            assert running.ask(path, **{"Sec-Fetch-Site": "none"})[0] == 303


def test_review_of_a_port_in_use_says_so_in_one_line(
    site: ReviewSite, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = main(["review", "--config", str(site.config_file), "--port", str(port)])
    assert code == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"error: port {port} of 127.0.0.1 is in use")
    assert errors.count("\n") == 1


def test_review_without_its_extra_names_what_to_install(
    site: ReviewSite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = "edge.results.commands.review.review"
    monkeypatch.setattr(f"{module}.find_spec", lambda name: None if name == "uvicorn" else name)
    assert main(["review", "--config", str(site.config_file)]) == 5
    said = f"needs uvicorn: {sys.executable} -m {install_command('review')}"
    assert said in capsys.readouterr().err


def test_review_of_a_path_without_a_state_folder_is_refused(
    site: ReviewSite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["review", str(site.export)]) == 2
    assert "--state DIR is missing" in capsys.readouterr().err


def test_other_commands_load_no_web_server() -> None:
    code = (
        "import sys, edge.results.cli; "
        "print({'starlette', 'uvicorn', 'cv2'} & set(sys.modules) or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"


def test_pin_from_a_pipe_becomes_a_line_of_the_configuration() -> None:
    done = subprocess.run(
        [*COMMAND, "--make-pin"],
        input="correct horse\n",
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.fullmatch(r'pin: "(.+)"\n', done.stdout)
    assert found is not None
    assert PinHash.parse(found[1]).matches("correct horse")
    assert "correct horse" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (("short", "short"), "a PIN has 6 to 64 printable characters"),
        (("correct horse", "correct house"), "the two PINs differ"),
    ],
)
def test_pin_that_cannot_be_used_is_refused(
    typed: tuple[str, str],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = iter(typed)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    assert main(["review", "--make-pin"]) == 2
    shown = capsys.readouterr()
    assert reason in shown.err
    assert shown.out == ""
