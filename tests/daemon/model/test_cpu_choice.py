"""The precision that was the fastest on this CPU: measured once, then opened alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.model import open_model as opening_model
from daemon.model.cpu_choice import CHOICE_NAME, VALID_FOR
from daemon.model.open_model import open_model
from edge.backends import select
from edge.backends.onnx import open_onnx
from edge.backends.opening import Opening
from edge.golden import open_labeller
from edge.text.rfc3339 import rfc3339
from tests.support.site import Site


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The precisions that were opened, in order."""
    found: list[str] = []

    def noted(model: bytes, precision: str, **others: Any) -> Any:
        found.append(precision)
        return open_onnx(model, precision, **others)

    monkeypatch.setattr(select, "open_onnx", noted)
    return found


@pytest.fixture
def choice_file(site: Site, opened: list[str]) -> Path:
    """The file that a first start has left."""
    path = site.folder / "state" / CHOICE_NAME
    path.parent.mkdir(mode=0o700, exist_ok=True)
    open_model(site.config())
    assert sorted(opened) == ["fp32", "int8"]
    opened.clear()
    return path


def test_second_start_opens_the_fastest_precision_alone(
    site: Site, choice_file: Path, opened: list[str]
) -> None:
    said: list[str] = []
    model = open_model(site.config(), opening=Opening(on_choice=said.append))
    assert opened == [model.facts.precision] == [json.loads(choice_file.read_text())["precision"]]
    assert any("was the fastest here when it was last measured" in line for line in said)


def with_fields(**fields: Any) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps({**json.loads(content), **fields}).encode()


AGO = rfc3339(datetime.now(UTC) - VALID_FOR)
AHEAD = rfc3339(datetime.now(UTC) + timedelta(hours=1))


@pytest.mark.parametrize(
    "change",
    [
        with_fields(bundle_sha256="0" * 64),
        with_fields(threads=2),
        with_fields(onnxruntime="1.0"),
        with_fields(has_vnni="unknown"),
        with_fields(precision="int4"),
        with_fields(precision=8),
        with_fields(at=AGO),
        with_fields(at=AHEAD),
        with_fields(at=None),
        lambda content: content[:-1],
        lambda _: b"[]",
        lambda _: b"\xff",
        lambda content: content + b" " * 10_000,
    ],
)
def test_choice_of_another_machine_or_damaged_is_measured_again(
    site: Site, choice_file: Path, opened: list[str], change: Callable[[bytes], bytes]
) -> None:
    before = choice_file.read_bytes()
    choice_file.write_bytes(change(before))
    model = open_model(site.config())
    # One that names a precision which the bundle lacks is tried, and everything is opened then.
    assert sorted(opened) == ["fp32", "int8"]
    assert json.loads(choice_file.read_text())["precision"] == model.facts.precision


def test_configured_precision_is_opened_whatever_was_the_fastest(
    site: Site, choice_file: Path, opened: list[str]
) -> None:
    fastest = json.loads(choice_file.read_text())["precision"]
    other = "fp32" if fastest == "int8" else "int8"
    site.settings["precision"] = other
    assert open_model(site.config()).facts.precision == other
    assert opened == [other]


def test_remembered_precision_is_checked_on_the_golden_images_as_any(
    site: Site, choice_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def noted(bundle: Any, session: Any, *others: Any, **more: Any) -> Any:
        checked.append(session.precision)
        return open_labeller(bundle, session, *others, **more)

    monkeypatch.setattr(opening_model, "open_labeller", noted)
    open_model(site.config())
    assert checked == [json.loads(choice_file.read_text())["precision"]]


def test_check_of_the_configuration_leaves_no_choice(site: Site) -> None:
    open_model(site.config(), opening=Opening(keeps_plans=False))
    assert not (site.folder / "state" / CHOICE_NAME).exists()
