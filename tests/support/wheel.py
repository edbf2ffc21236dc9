"""A wheel of this checkout, to look at what an installation gets."""

from __future__ import annotations

import importlib
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def files_of_wheel(scratch: Path, folders: tuple[str, ...]) -> dict[str, bytes]:
    """The files by their paths in a wheel that is built of some of the checkout's folders."""
    pytest.importorskip("setuptools", minversion="77", reason="a wheel is built with setuptools")
    # Copied, because setuptools builds within the source.
    source = scratch / "source"
    source.mkdir()
    for name in folders:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(source)
        patch.setattr(sys, "argv", ["setup.py"])
        wheel = importlib.import_module("setuptools.build_meta").build_wheel(str(scratch))
    with zipfile.ZipFile(scratch / wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
