"""Judges and receivers from npm: installed once into a cache outside of the tree."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import pytest

# Where installations are kept between test runs.
CACHE: Final = Path(os.environ.get("EDGE_TEST_CACHE", Path.home() / ".cache" / "microscope-edge"))


def npm_folder(source: Path) -> Path:
    """A folder with the files of `source` and the packages that its package-lock.json pins.

    The test is skipped where Node or the packages cannot be had.
    """
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    files = sorted(path for path in source.iterdir() if path.is_file())
    name = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    folder = CACHE / f"npm-{source.parent.name}-{name}"
    if not folder.is_dir():
        _install(files, folder)
    return folder


def _install(files: list[Path], folder: Path) -> None:
    """Install beside the folder and rename: another process may be doing the same."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        whole = Path(made) / "whole"
        whole.mkdir()
        for path in files:
            shutil.copy(path, whole)
        # Scripts of packages do not run; npm checks each package against the lock's hash.
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=whole, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm could not install: {done.stderr.strip()[-300:]}")
        try:
            whole.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
