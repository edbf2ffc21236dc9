"""The process that takes the steps, and the other side of it.

    python -m tests.gpu.worker ARGUMENTS.json

A step may end its process (a segmentation fault in a library) or hang. The next one then gets a new
process, and what was found before is safe with the one that asked.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.backends.trt.cuda import Device
from edge.backends.trt.gpu import find_machine
from edge.backends.trt.library import open_library
from edge.bundle import load_bundle
from edge.errors import EdgeError
from tests.gpu.budget import Answer, Figures, Proven, Step
from tests.gpu.kit import bind_lazily_in_kit
from tests.gpu.setting import Found, Setting, Sizes, SkippedError


def open_setting(arguments: dict[str, Any]) -> Setting:
    """Everything without which there is nothing to check.

    Raises:
        BackendError: no library, driver, GPU or pycuda.
        BundleError: the bundle is unusable.
    """
    library, machine = open_library(arguments["library"]), find_machine()
    Device().close()
    return Setting(
        bundle=load_bundle(Path(arguments["bundle"])),
        library=library,
        machine=machine,
        work=Path(arguments["work"]),
        engines=Path(arguments["engines"]),
        data=Path(arguments["data"]) if arguments["data"] else None,
        torch_python=arguments["torch_python"],
        sizes=Sizes(**arguments["sizes"]),
    )


class Here:
    """Takes steps in this process."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def take(
        self, step: Step, limit_s: float, proven: Proven, on_partial: Callable[[Figures], None]
    ) -> Answer:
        """See `Worker`. The step itself looks at its limit, where it can stop early."""
        setting = self._setting
        setting.proven, setting.refused = set(proven.precisions), dict(proven.refused)
        setting.on_partial, setting.end_s = on_partial, time.monotonic() + limit_s
        state, reason, found = _outcome(step, setting)
        now_proven = Proven(tuple(sorted(setting.proven)), dict(setting.refused))
        return Answer(state, reason, found.figures, found.lines, now_proven)


def _outcome(step: Step, setting: Setting) -> tuple[str, str | None, Found]:
    try:
        found = step.run(setting)
    except SkippedError as skipped:
        return "skipped", str(skipped), Found({})
    except EdgeError as error:
        return "failed", str(error), Found({})
    # The libraries raise what they like, and the next step may still tell something.
    except Exception as error:  # noqa: BLE001
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return "failed", f"{type(error).__name__} at {where}: {error}", Found({})
    return ("failed" if found.problem else "ok"), found.problem, found


def main(arguments_path: Path, steps: dict[str, Step]) -> int:
    """Answer until stdin ends: first whether the GPU can be used, then one line for each step."""
    # The libraries write to the standard output too; the answers go where it led before.
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    faulthandler.enable()
    bind_lazily_in_kit()
    try:
        here = Here(open_setting(json.loads(arguments_path.read_bytes())))
    except EdgeError as error:
        _say(answers, {"error": str(error), "exit_code": error.exit_code})
        return error.exit_code
    _say(answers, {})
    for line in sys.stdin:
        asked = json.loads(line)
        proven = Proven(tuple(asked["precisions"]), asked["refused"])
        answer = here.take(
            steps[asked["step"]],
            asked["limit_s"],
            proven,
            lambda figures: _say(answers, {"partial": figures}),
        )
        _say(answers, to_json(answer))
    return 0


def to_json(answer: Answer) -> dict[str, Any]:
    """An answer as one line's JSON."""
    known = answer.proven or Proven()
    return {
        "state": answer.state,
        "reason": answer.reason,
        "figures": answer.figures,
        "lines": answer.lines,
        "precisions": known.precisions,
        "refused": known.refused,
    }


def from_json(values: dict[str, Any]) -> Answer:
    """What `to_json` wrote."""
    return Answer(
        values["state"],
        values["reason"],
        values["figures"],
        tuple(values["lines"]),
        Proven(tuple(values["precisions"]), values["refused"]),
    )


def _say(stream: Any, fields: dict[str, Any]) -> None:
    stream.write(json.dumps(fields, default=str) + "\n")
    stream.flush()


if __name__ == "__main__":
    from tests.gpu.steps.order import STEPS

    sys.exit(main(Path(sys.argv[1]), {step.name: step for step in STEPS}))
