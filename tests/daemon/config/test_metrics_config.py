"""Tests for daemon.config.metrics_config: nothing but this machine can be listened on."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.config import load_config
from edge.errors import ConfigError

GOOD = "bundle: b\nwatch: [{folder: export}]\nstate_dir: state\n"


def load(folder: Path, text: str) -> tuple[str | None, Path | None, float | None]:
    (folder / "edge.yaml").write_text(GOOD + text)
    config = load_config(folder / "edge.yaml")
    listen = config.metrics.listen
    return (str(listen) if listen else None), config.metrics.file, config.retention_days


@pytest.mark.parametrize("text", ["", "metrics: null", "metrics: {}"])
def test_load_without_metrics_listens_nowhere(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == (None, None, 400.0)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:9464", "127.0.0.1:9464"),
        ("localhost:9464", "127.0.0.1:9464"),
        ("127.8.8.8:1", "127.8.8.8:1"),
        ("'[::1]:9464'", "[::1]:9464"),
        ("unix:/run/microscope-edge/m.sock", "unix:/run/microscope-edge/m.sock"),
    ],
)
def test_load_an_address_of_this_machine(tmp_path: Path, listen: str, address: str) -> None:
    assert load(tmp_path, f"metrics: {{listen: {listen}, file: edge.prom}}") == (
        address,
        tmp_path / "edge.prom",
        400.0,
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("listen: 0.0.0.0:9464", "which other machines can reach"),
        ("listen: '[::]:9464'", "behind a reverse proxy"),
        ("listen: 10.0.0.5:9464", "node_exporter"),
        ("listen: edge-ws-3.lab.example:9464", "which other machines can reach"),
        ("listen: 127.0.0.1", "give 127.0.0.1:PORT"),
        ("listen: 127.0.0.1:0", "give 127.0.0.1:PORT"),
        ("listen: 127.0.0.1:70000", "give 127.0.0.1:PORT"),
        ("listen: 9464", "is 9464; give a text"),
        ("listen: unix:m.sock", "give an absolute path"),
        (f"listen: unix:/{'x' * 107}", "at most 107 bytes"),
        ("file: edge.txt", "names that end in .prom"),
        ("port: 1", "metrics.port is not a known key"),
    ],
)
def test_load_any_other_address_is_an_error_that_says_what_to_do(
    tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"metrics: {{{text}}}")
    (line,) = str(caught.value).splitlines()
    assert problem in line


def test_load_retention_null_keeps_rows_for_ever(tmp_path: Path) -> None:
    assert load(tmp_path, "retention_days: null")[2] is None
    assert load(tmp_path, "retention_days: 30")[2] == 30.0
    with pytest.raises(ConfigError, match="retention_days is 0; give a number from 1 to 36500"):
        load(tmp_path, "retention_days: 0")
