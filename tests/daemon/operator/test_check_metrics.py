"""Tests for daemon.operator.check_metrics: what of the metrics could not be served."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.config.metrics_config import Address, MetricsConfig
from daemon.operator.check_metrics import metrics_lines, metrics_problems


def test_address_and_file_that_can_be_had_are_no_problem(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        # In use: by the daemon, whose configuration is checked while it runs.
        metrics = MetricsConfig(Address("127.0.0.1", port), tmp_path / "edge.prom")
        assert list(metrics_problems(metrics)) == []
    assert list(metrics_lines(metrics)) == [
        f"metrics  127.0.0.1:{port} and {tmp_path}/edge.prom",
    ]
    assert list(metrics_lines(MetricsConfig())) == []


def test_address_family_that_the_unit_forbids_is_told_with_what_opens_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "not supported")

    monkeypatch.setattr(socket, "socket", refuse)
    (told,) = metrics_problems(MetricsConfig(Address("127.0.0.1", 9464)))
    assert told.startswith("metrics.listen 127.0.0.1:9464 cannot be used (Address family not")
    assert "Run `edge-daemon install` again" in told


def test_address_that_this_machine_lacks_is_told() -> None:
    # TEST-NET-1 (RFC 5737): no machine has it.
    (told,) = metrics_problems(MetricsConfig(Address("192.0.2.1", 9464)))
    assert "Give a port above 1023 of an address that this machine has." in told


def test_folder_that_is_missing_is_told_for_socket_and_file(tmp_path: Path) -> None:
    listen = Address(path=tmp_path / "no" / "m.sock")
    told = list(metrics_problems(MetricsConfig(listen, tmp_path / "no" / "edge.prom")))
    assert [line.partition(":")[0] for line in told] == [
        "metrics.listen unix",
        f"metrics.file {tmp_path}/no/edge.prom",
    ]
    assert all(f"there is no folder {tmp_path}/no" in line for line in told)


def test_folder_of_a_read_only_mount_is_told_with_what_opens_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=os.ST_RDONLY))
    (told,) = metrics_problems(MetricsConfig(file=tmp_path / "edge.prom"))
    assert f"{tmp_path} is read-only here. Run `edge-daemon install` again" in told
