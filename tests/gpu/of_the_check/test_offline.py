"""What a machine without a network is given: the list of wheels, the kit and its script."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu.kit import environment_without_kit
from tests.gpu.setting import ROOT

SCRIPT = ROOT / "tests" / "gpu" / "go.sh"
# In place of the kit's own: it unpacks nothing.
JOIN = """
[ -x "$1/zstd/zstd" ] || { echo "no zstd beside the parts" >&2; return 1; }
mkdir -p "$2/kit/site"
export KIT=$2/kit
"""


def test_the_wheels_of_the_page_hold_every_dependency_of_the_runtime() -> None:
    page = (ROOT / "docs" / "gpu" / "check.md").read_text("utf-8").replace("\\\n", " ")
    lines = re.findall(r"^ +pip download -d wheels (.*)$", page, re.MULTILINE)
    # The checkout itself: pip downloads the dependencies that pyproject.toml lists.
    assert "." in shlex.split(lines[0])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What the script wants, and a `make` that says how it was called."""
    folder = tmp_path / "files"
    for name in ("zstd", "cells8.edge", "pbc/test"):
        (folder / name).mkdir(parents=True)
    (folder / "join-kit.sh").write_text(JOIN)
    for program, text in ((folder / "zstd" / "zstd", ""), (tmp_path / "bin" / "make", SAY)):
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    return folder


SAY = '#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n'


def go(files: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{files.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=files.parent,
        env={**os.environ, "PATH": path, **environment},
    )


def test_go_joins_the_kit_and_starts_the_check_from_any_folder(files: Path) -> None:
    done = go(files, "parts", "files", "target", "out", GPU_STEPS="device,engine int8")
    assert (done.returncode, done.stderr) == (0, "")
    root = files.parent
    folder, target, *settings = done.stdout.splitlines()
    assert (folder, target) == (str(ROOT), "gpu-check")
    assert settings == [
        "GPU_PYTHON=tests/gpu/kit-python",
        f"BUNDLE={root}/files/cells8.edge",
        f"DATA={root}/files/pbc",
        "TORCH_PYTHON=python3",
        f"GPU_SCRATCH={root}/target/scratch",
        f"GPU_OUT={root}/out/gpu-check.json",
        "GPU_BUDGET=360",
        "GPU_STEPS=device,engine int8",
    ]


def test_go_lets_every_python_of_the_kit_bind_lazily(files: Path) -> None:
    assert go(files, "parts", "files", "target", "out").returncode == 0
    site = files.parent / "target" / "kit" / "site"
    code = "import os, sys; print(sys.getdlopenflags() == os.RTLD_LAZY | os.RTLD_GLOBAL)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(site)},
    )
    assert told.stdout == "True\n"


def test_go_with_too_few_folders_says_which_it_wants(files: Path) -> None:
    done = go(files, "parts", "files")
    assert done.returncode == 2
    assert done.stderr.startswith("The check from the offline kit")
    assert "go.sh PARTS FILES TARGET OUT" in done.stderr


def test_environment_without_the_kit_keeps_what_is_not_of_the_kit() -> None:
    environ = {
        "KIT": "/k/kit",
        "PYTHONHOME": "/k/kit/py",
        "PYTHONPATH": "/k/kit/site",
        "LD_LIBRARY_PATH": "/k/kit/trt:/usr/local/cuda/lib64",
        "PATH": "/bin",
    }
    kept = {"LD_LIBRARY_PATH": "/usr/local/cuda/lib64", "PATH": "/bin"}
    assert environment_without_kit(environ) == kept
