"""Tests for daemon.cli: commands, exit codes, and what a person reads."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daemon.cli import main
from tests.daemon.commands import run
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


def test_once_labels_and_prints_a_summary(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("S1/1/a.jpg", colour_jpeg("red"))
    site.add("S1/1/b.jpg", b"no image", age_s=3600)
    assert run(site, "once") == 0
    out = capsys.readouterr().out
    assert "1 labelled, 0 unidentified, 1 rejected\n" in out
    assert "images/s" in out
    assert run(site, "once") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing new to label"
    assert site.sidecar("S1/1/a.jpg")["label"] == "red"
    assert site.sidecar("S1/1/b.jpg")["reason"] == "unsupported_format"


def test_command_wrong_config_exits_2_with_a_line_each(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.settings |= {"setle_s": 1, "workers": 0}
    for words in (["run"], ["once"], ["status"], ["check-config"]):
        assert run(site, *words) == 2
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) == 2
        assert "did you mean 'settle_s'" in errors[1]


def test_command_changed_bundle_exits_3_and_labels_nothing(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("a.jpg", colour_jpeg())
    model = Path(site.settings["bundle"]) / "model.int8.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    assert run(site, "once") == 3
    assert "model.int8.onnx is not the file that was converted" in capsys.readouterr().err
    assert not site.has_sidecar("a.jpg")


def test_command_golden_images_that_fail_exit_5(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("a.jpg", colour_jpeg())
    monkeypatch.setattr("edge.golden.TOLERANCE", {"int8": -1.0, "fp32": -1.0})
    assert run(site, "once") == 5
    assert not site.has_sidecar("a.jpg")


def test_command_backend_that_is_not_here_exits_5(site: Site) -> None:
    site.settings["backend"] = "tensorrt"
    assert run(site, "check-config") == 5


def test_command_damaged_journal_exits_6_and_is_left_alone(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.folder / "state").mkdir()
    journal = site.folder / "state" / "journal.sqlite3"
    journal.write_bytes(b"x" * 5000)
    assert run(site, "once") == 6
    assert "aside" in capsys.readouterr().err
    assert journal.read_bytes() == b"x" * 5000


@pytest.mark.parametrize("command", [("once",), ("status",), ("retry", "--all")])
def test_command_journal_of_which_a_row_is_damaged_exits_6_with_one_line(
    site: Site, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert run(site, "once") == 0
    with closing(sqlite3.connect(site.folder / "state" / "journal.sqlite3")) as db, db:
        db.execute("UPDATE root SET folder = CAST(x'ff00' AS TEXT)")
    capsys.readouterr()
    assert run(site, *command) == 6
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the journal ")
    assert line.endswith("every image is then labelled again and its sidecars are replaced.")


def test_command_unexpected_error_is_one_line(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_config: object) -> list[str]:
        raise RuntimeError("odd")

    monkeypatch.setattr("daemon.operator.check_config.check_config", broken)
    assert run(site, "check-config") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: unexpected RuntimeError at daemon/cli.py:")
    assert len(error.splitlines()) == 1
    assert "odd" not in error
    assert run(site, "check-config", "--debug") == 1
    assert "RuntimeError: odd" in capsys.readouterr().err


def test_run_unexpected_error_does_not_say_the_path_of_an_image(
    site: Site,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("S777/1/a.jpg")

    site.add("S777/1/a.jpg", colour_jpeg("red"))
    with monkeypatch.context() as patch:
        patch.setattr("daemon.results.writer.write_sidecars", broken)
        assert run(site, "run") == 1
    error = capsys.readouterr().err
    assert "error: unexpected KeyError at daemon/results/writer.py:" in error
    assert "S777" not in error
    assert run(site, "once") == 0
    assert site.sidecar("S777/1/a.jpg")["label"] == "red"


def test_once_whose_sidecar_cannot_be_written_does_not_say_the_path_of_an_image(
    site: Site,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    rename = os.rename

    def refuse(old: str, new: str, **folders: int) -> None:
        if new.startswith("a.jpg"):
            raise OSError(errno.ENOSPC, "No space left on device", old, None, new)
        rename(old, new, **folders)

    site.add("S777/1/a.jpg", colour_jpeg("red"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        assert run(site, "once") == 6
    error = capfd.readouterr().err
    assert "error: sidecars cannot be written (No space left on device). Check" in error
    assert "S777" not in error
    assert run(site, "once") == 0
    assert site.sidecar("S777/1/a.jpg")["label"] == "red"


def test_argument_that_is_not_known_is_shown_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["once", "--config", "a", "\x1b[2J\nerror: forged.jpg"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert r"unrecognized arguments: \x1b[2J\nerror: forged.jpg" in error
    assert "\x1b" not in error


def test_once_that_rejected_images_says_where_they_are_named(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("S1/1/a.jpg", colour_jpeg("red"))
    assert run(site, "once") == 0
    assert "edge-daemon status" not in capsys.readouterr().err
    site.add("S1/1/small.jpg", colour_jpeg("red", side_px=16))
    assert run(site, "once") == 0
    where = f"which were rejected, and why: edge-daemon status --config {site.config_path}\n"
    assert where in capsys.readouterr().err


def test_run_tells_systemd_and_sigterm_ends_it_cleanly(site: Site, colour_jpeg: Jpeg) -> None:
    address = str(site.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(20)
        process = site.start("run", NOTIFY_SOCKET=address, WATCHDOG_USEC="400000")
        said = [server.recv(4096).decode()]
        while said[-1] != "READY=1":
            said.append(server.recv(4096).decode())
        images = [site.export / f"S{n // 10}" / f"{n}.jpg" for n in range(60)]
        for number, path in enumerate(images):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(colour_jpeg("green", seed=number))
            if number == 30:
                until(lambda: site.has_sidecar("S0/0.jpg"))
                process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 0, errors
        while not said[-1].startswith("STOPPING"):
            said.append(server.recv(4096).decode())
    assert "WATCHDOG=1" in said
    assert any(message.startswith("STATUS=") for message in said)
    states = {row[0] for row in site.outcomes().values()}
    assert states <= {"done", "waiting"}
    assert run(site, "once") == 0
    for path in images:
        assert site.sidecar(str(path.relative_to(site.export)))["label"] == "green"


def test_run_second_daemon_is_refused_and_told_who(site: Site) -> None:
    first = site.start("run")
    until((site.folder / "state" / "journal.sqlite3").exists)
    second = site.start("once")
    _, errors = second.communicate(timeout=20)
    assert second.returncode == 6
    assert f"in use by process {first.pid}" in errors
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=20)


def test_run_log_names_no_sample(site: Site, colour_jpeg: Jpeg) -> None:
    site.settings["log"] = {"level": "debug"}
    site.add("S777/1/a.jpg", colour_jpeg("red"))
    site.add("S777/1/b.jpg", colour_jpeg("red", side_px=16))
    process = site.start("run")
    until(lambda: site.has_sidecar("S777/1/a.jpg") and site.has_sidecar("S777/1/b.jpg"))
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "rejected: too_small" in errors
    assert "S777" not in errors


def test_once_stopped_before_the_end_exits_130(site: Site, colour_jpeg: Jpeg) -> None:
    # A file that is not whole keeps `once` waiting for as long as its patience lasts.
    site.settings["settle_s"] = 5.0
    site.add("a.jpg", colour_jpeg()[:500], age_s=10)
    process = site.start("once")
    # It was looked at, and put off.
    until(lambda: site.outcomes().get("a.jpg", (None,) * 4)[3] is not None)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "start again to go on" in errors
    assert site.outcomes()["a.jpg"][0] == "waiting"
