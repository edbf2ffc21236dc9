"""A converter that is given hostile model files."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from converters.cli import main

Change = Callable[[str, bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A folder with a card and validation images; models are put beside them."""

    root: Path
    marker: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def model(self) -> Path:
        return self.root / "tiny.pt"

    def convert(self, *more: str) -> tuple[int, str]:
        card, target = str(self.root / "tiny.yaml"), str(self.root / "tiny.edge")
        code = main([str(self.model), "--card", card, "--out", target, *more])
        return code, self.capsys.readouterr().err

    def refused(self, *more: str) -> str:
        """Convert what must be refused; gives the one line."""
        code, said = self.convert(*more)
        lines = [line for line in said.splitlines() if not line.startswith("opening")]
        assert code == 3, said
        assert len(lines) == 1, said
        assert lines[0].startswith("error: ")
        assert not self.marker.exists()
        assert not (self.root / "tiny.edge").exists()
        assert list(Path(tempfile.gettempdir()).iterdir()) == []
        return lines[0]


class RunsCode:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def exported(network: nn.Module, change: Change, **added: bytes) -> bytes:
    """A .pt2 file with its entries changed; None drops one."""
    buffer, result = io.BytesIO(), io.BytesIO()
    torch.export.save(torch.export.export(network, (torch.zeros(2, 3, 32, 32),)), buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(result, "w") as target:
        root = source.namelist()[0].split("/")[0]
        for name in source.namelist():
            changed = change(name.removeprefix(f"{root}/"), source.read(name))
            if changed is not None:
                target.writestr(name, changed)
        for name, content in added.items():
            target.writestr(f"{root}/{name}", content)
    return result.getvalue()
