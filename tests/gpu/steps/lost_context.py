"""Break this process's CUDA context under the daemon's model, and see what becomes of the images.

    python -m tests.gpu.steps.lost_context CONFIG.yaml FOLDER_OF_IMAGES

The last line is JSON. A trap in a kernel is what a driver's fault looks like from inside: every
later call of this process fails, while the GPU itself is well.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from daemon.config.config import load_config
from daemon.model.current_model import CurrentModel
from daemon.model.gpu_return import GpuReturn, works_in_child
from daemon.model.open_model import open_model
from edge.backends.trt.cuda import Device
from edge.errors import DeviceError, EdgeError
from edge.labeller import Outcome
from tests.gpu.kit import bind_lazily_in_kit

# PTX of a kernel that traps; for every GPU since Turing.
TRAP: Final = b""".version 6.3
.target sm_75
.address_size 64
.visible .entry fail() { trap; }
\0"""


def main(config_path: Path, folder: Path) -> int:
    """Label, break, label again, try the way back; returns the exit code."""
    bind_lazily_in_kit()
    config = load_config(config_path)
    images = sorted(folder.glob("*.jpg"))
    current_model = CurrentModel(
        open_model(config),
        lambda backend, bundle: open_model(config, backend=backend, bundle=bundle),
        may_fail_over=True,
    )
    before, first = current_model.label_batch(images[:16])
    error = break_context()
    start = time.monotonic()
    after, second = current_model.label_batch(images[:16])
    took_s = time.monotonic() - start
    ended: list[EdgeError] = []
    opened_child = works_in_child(config, current_model.model.bundle)
    way_back = GpuReturn(
        current_model,
        lambda backend, bundle: open_model(config, backend=backend, bundle=bundle),
        lambda _: opened_child,
        ended.append,
    )
    way_back.try_once()
    _, third = current_model.label_batch(images[:1])
    found: dict[str, Any] = {
        "error": error,
        "labelled_by": [f"{facts.backend} {facts.precision}" for facts in (first, second, third)],
        "same_labels": [_label(o) for o in before] == [_label(o) for o in after],
        "failover_s": round(took_s, 3),
        "works_in_child": opened_child,
        "ended_with": [str(one) for one in ended],
    }
    found["is_right"] = (
        error is not None
        and None not in map(_label, after)
        and found["same_labels"]
        and first.backend != second.backend
        and opened_child
        and (bool(ended) or third.backend == first.backend)
    )
    current_model.close()
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    return 0


def break_context() -> str | None:
    """Run the trap in the primary context, which TensorRT uses too; the error that came of it."""
    device = Device()
    try:
        with device.current():
            import pycuda.driver

            module = pycuda.driver.module_from_buffer(TRAP)
            module.get_function("fail")(block=(1, 1, 1))
            pycuda.driver.Context.synchronize()
    except DeviceError as error:
        return str(error)
    return None


def _label(outcome: Outcome | EdgeError) -> str | None:
    decision = outcome.decision if isinstance(outcome, Outcome) else None
    return decision.label if decision else None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
