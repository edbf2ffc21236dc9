"""Conversions of the small network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from converters.cli import main


def convert(folder: Path, *more: str, model: str = "tiny.pt") -> int:
    return main([str(folder / model), "--out", str(folder / "tiny.edge"), *more])


def edit_card(folder: Path, **changes: Any) -> None:
    card = yaml.safe_load((folder / "tiny.yaml").read_text()) | changes
    kept = {key: value for key, value in card.items() if value is not None}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(kept))


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *more: str, **kw: Any) -> str:
    """Run a conversion that must fail: one line, no bundle, nothing half-written."""
    before = sorted(p.name for p in folder.iterdir())
    code = convert(folder, *more, **kw)
    lines = [x for x in capsys.readouterr().err.splitlines() if not x.startswith("opening")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert sorted(p.name for p in folder.iterdir()) == before
    return f"{code} {lines[0]}"
