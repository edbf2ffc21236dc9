"""Python environments of programs that judge ours, outside of the checkout and of our own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.npm import CACHE

# On a machine with much other work.
_INSTALL_TIMEOUT_S: Final = 2400


def environment(packages: Sequence[str], prepare: Callable[[Path], None] | None = None) -> Path:
    """The folder that holds `venv`, made once and kept; making it takes minutes.

    Args:
        packages: with their versions; the first gives the folder its name.
        prepare: what else is made once, called with the folder.
    """
    folder = CACHE / packages[0].replace("==", "-")
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "lock"):
        whole = folder / "whole"
        if not whole.exists() or whole.read_text() != "\n".join(packages):
            shutil.rmtree(folder / "venv", ignore_errors=True)
            run([sys.executable, "-m", "venv", folder / "venv"])
            # Compiling all of a large package takes longer than what is imported of it.
            python = folder / "venv/bin/python"
            run([python, "-m", "pip", "install", "--quiet", "--no-compile", *packages])
            if prepare:
                prepare(folder)
            whole.write_text("\n".join(packages))
    return folder


def run(argv: Sequence[str | Path], env: dict[str, str] | None = None) -> None:
    """Run a step of an installation, which must not fail."""
    # A machine that runs all tests has other work as well.
    nice = ["nice", "-n", "10"]
    done = subprocess.run(
        [*nice, *argv],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=_INSTALL_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{argv[0]}: {done.stdout[-1000:]}{done.stderr[-2000:]}"


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
