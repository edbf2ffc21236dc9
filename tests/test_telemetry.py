"""ONNX Runtime 1.32 reports usage to its vendor by default. Nothing here may."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("module", ["edge.bench.cli", "daemon.cli", "converters.convert"])
def test_importing_a_command_leaves_no_trace_in_the_home_folder(
    module: str, tmp_path: Path
) -> None:
    code = (
        f"import {module}, os; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'; "
        "from edge.backends.onnx import open_onnx; from edge.errors import BundleError\n"
        "try: open_onnx(b'', 'fp32')\n"
        "except BundleError: pass\n"
    )
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    root = Path(__file__).parent.parent
    subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "HOME": str(tmp_path)},
        cwd=root,
        check=True,
    )
    assert list(tmp_path.rglob("*")) == []
