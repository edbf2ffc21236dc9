"""The steps in the order of their worth, with the seconds that each may take.

The seconds are for a machine of 16 cores with an H100, where TensorRT 8.6 builds the INT8 engine in
77 s and the FP16 engine in 94 s. docs/gpu/check.md says what the steps do.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from typing import Final

from tests.gpu.budget import Proven, Step
from tests.gpu.setting import ROOT, Found, Setting, SkippedError
from tests.gpu.steps import endurance, engines, latency, peer, service

_TESTS: Final = "tests/gpu/test_engine_on_gpu.py"


def _wrong_tensor(setting: Setting) -> Found:
    # The one step that needs onnx, which a machine with a GPU may lack.
    try:
        from tests.gpu.steps.wrong_tensor import wrong_tensor
    except ImportError as error:
        raise SkippedError(f"{error.name} is not installed") from error
    return wrong_tensor(setting)


def _int8_is_right(proven: Proven) -> str | None:
    return None if "int8" in proven.refused else "the INT8 engine is right, or there is none"


def _tests(setting: Setting) -> Found:
    """The tests of a real engine, which build engines of their own."""
    missing = [name for name in ("pytest", "pytest_timeout", "onnx") if find_spec(name) is None]
    if missing:
        raise SkippedError(f"{missing[0]} is not installed")
    if not engines.is_real(setting.library):
        raise SkippedError("another process does not see the stand-in for a GPU")
    argv = [sys.executable, "-m", "pytest", "-W", "default", "-q", _TESTS]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    last = (done.stdout.strip().splitlines() or [done.stderr.strip()[-200:]])[-1]
    return Found({"exit_code": done.returncode}, (last,), last if done.returncode else None)


STEPS: Final = (
    Step("device", engines.device, limit_s=15, needs_s=5),
    Step("engine int8", partial(engines.build, precision="int8"), 150, 20, is_alone=True),
    Step("golden int8", partial(engines.golden, precision="int8"), 25, 5),
    Step("engine fp16", partial(engines.build, precision="fp16"), 150, 20, is_alone=True),
    Step("golden fp16", partial(engines.golden, precision="fp16"), 25, 5),
    Step("accuracy", engines.accuracy, limit_s=45, needs_s=10),
    # Only where INT8 was refused, and then worth more than what is left to be measured.
    Step("wrong tensor", _wrong_tensor, 75, 15, is_alone=True, why_not=_int8_is_right),
    Step("batch sweep", latency.sweep, limit_s=30, needs_s=8),
    Step("torch", peer.against_torch, limit_s=75, needs_s=20),
    Step("stream", service.stream, limit_s=45, needs_s=20),
    Step("throughput", endurance.throughput, limit_s=75, needs_s=25),
    Step("memory", endurance.memory, limit_s=25, needs_s=6),
    Step("killed process", service.killed, limit_s=60, needs_s=30),
    Step("lost context", service.lost_context, limit_s=60, needs_s=25),
    Step("levels", latency.levels, limit_s=30, needs_s=8),
    Step("tests", _tests, limit_s=120, needs_s=30, is_alone=True),
)
