"""`tests.gpu.worker` with steps that need no GPU and end their process in several ways.

    python -m tests.support.dying_worker ARGUMENTS.json

ARGUMENTS.json may hold an "error", for a machine without a GPU.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edge.errors import BackendError
from tests.gpu import worker
from tests.gpu.budget import Step
from tests.gpu.setting import Found, Setting


def crash(setting: Setting) -> Found:
    """A segmentation fault."""
    setting.on_partial({"half": 1})
    ctypes.string_at(0)
    raise AssertionError("unreachable")


def hang(setting: Setting) -> Found:
    """Say half and wait for ever."""
    setting.on_partial({"half": 2})
    signal.pause()
    raise AssertionError("unreachable")


def leave(_setting: Setting) -> Found:
    """End with a word, as a library that calls exit."""
    os.write(2, b"the library gives up\n")
    os._exit(7)


def prove(setting: Setting) -> Found:
    """Add INT8 to what is proven, while a library writes to the standard output."""
    os.write(1, b"noise\n")
    setting.proven.add("int8")
    return Found({"pid": os.getpid()}, ("a line",))


def _open(facts: dict[str, Any]) -> Any:
    if "error" in facts:
        raise BackendError(facts["error"])
    return SimpleNamespace(proven=set(), refused={})


if __name__ == "__main__":
    worker.open_setting = _open  # type: ignore[assignment]
    steps = {step.__name__: Step(step.__name__, step, 9, 1) for step in (crash, hang, leave, prove)}
    sys.exit(worker.main(Path(sys.argv[1]), steps))
