"""Bundles to spoil, and what refuses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.bundle import load_bundle, seal
from edge.errors import BundleError

Manifest = dict[str, Any]


def refusal(root: Path) -> str:
    """The one line with which the bundle is refused."""
    with pytest.raises(BundleError) as caught:
        load_bundle(root)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 1000
    return said


def write_raw(root: Path, content: bytes) -> None:
    (root / "manifest.json").write_bytes(content)
    (root / "manifest.sha256").write_bytes(seal(content))


def edit(root: Path, change: Callable[[Manifest], object]) -> None:
    manifest = json.loads((root / "manifest.json").read_bytes())
    change(manifest)
    write_raw(root, json.dumps(manifest).encode())
