"""Tests for edge.system.installation: advice that names an installation which works."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import edge
from edge.system import installation
from edge.system.installation import install_command

CHECKOUT = Path(edge.__file__).parent.parent


@pytest.fixture
def wheel_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As after `pip install FILE`, where no sources lie beside the package."""
    wheel = tmp_path / "a wheel" / "microscope_edge-0.1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    record = json.dumps({"url": wheel.as_uri(), "archive_info": {}})
    found = SimpleNamespace(read_text=lambda _name: record)
    monkeypatch.setattr("importlib.metadata.distribution", lambda _name: found)
    monkeypatch.setattr(installation, "__file__", str(tmp_path / "lib/edge/system/installation.py"))
    return wheel


def test_in_a_checkout_its_folder_is_named() -> None:
    assert install_command("convert") == f"pip install '{CHECKOUT}[convert]'"


def test_wheel_that_was_installed_is_named_while_it_is_there(wheel_installed: Path) -> None:
    assert install_command("gpu") == f"pip install '{wheel_installed}[gpu]'"
    wheel_installed.unlink()
    assert install_command("gpu") == "pip install 'CHECKOUT-OR-WHEEL[gpu]'"


def test_no_text_sends_anybody_to_an_index_that_does_not_have_the_package() -> None:
    told = [
        str(path.relative_to(CHECKOUT))
        for folder in ("edge", "daemon", "converters", "docs", "systemd")
        for path in (CHECKOUT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".yaml", ".conf", ".service")
        and (
            "install 'microscope-edge" in path.read_text("utf-8")
            or "install microscope-edge" in path.read_text("utf-8")
        )
    ]
    assert told == []
