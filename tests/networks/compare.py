"""Compare edge-convert with other quantizers on a few networks, interleaved in this process.

The same calibration images, test images and one thread for all of them. Each is run by the runtime
that it is made for, and compared with FP32 in that runtime and in ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from converters.inputs.image_set import evenly, image_batches, load_images
from edge.bundle import Bundle, load_bundle
from edge.errors import ConfigError
from edge.shares.share import Share
from tests.gpu.figures import table
from tests.networks import rivals
from tests.networks.conversion import Settings
from tests.networks.judging import X86, Infer, served, timed
from tests.networks.record import CONVERTED, DONE, FAILED, Record, Row
from tests.networks.rows import JudgingImages, Task, one_line
from tests.networks.table import Say
from tests.networks.text import NOTHING, percent
from tests.networks.training.images import Labelled

DEFAULT: Final = ("tv_resnet18", "tv_mobilenet_v3_small", "vit_tiny")
ORT: Final = "ONNX Runtime FP32"
OPENVINO: Final = "OpenVINO FP32"
OURS: Final = "edge-convert INT8"
ORT_DEFAULT: Final = "ONNX Runtime default INT8"
NNCF_ORT: Final = "NNCF INT8 in ONNX Runtime"
OPENVINO_INT8: Final = "OpenVINO (NNCF) INT8"
# FP32 of the runtime that each is run by.
OWN_FP32: Final = {OURS: ORT, ORT_DEFAULT: ORT, NNCF_ORT: ORT, OPENVINO: OPENVINO}
OWN_FP32[OPENVINO_INT8] = OPENVINO
_HEADER: Final = (
    "network",
    "tool",
    "accuracy",
    "same label as FP32",
    "ms",
    "over its own FP32",
    f"over {ORT}",
)
# NNCF asks to be told of these.
_TRANSFORMERS: Final = ("vit", "deit", "swin")


def compare_all(
    tasks: list[Task], out: Path, settings: Settings, record: Record, made: Record, say: Say
) -> None:
    """Compare on the bundles of rows that were made; each is in `record` as soon as it is known."""
    test = JudgingImages(settings)
    for task in tasks:
        if record.has(task.name, (DONE,)):
            continue
        say(f"comparing on {task.name}")
        row: Row = {"network": task.network, "format": task.file_format}
        try:
            if not made.has(task.name, (DONE, CONVERTED)):
                raise ConfigError(made.row(task.name)["reason"])  # noqa: TRY301
            bundle = load_bundle(task.folder(out) / "model.edge")
            row |= _compared(task, bundle, out, test.of(bundle.input), say)
            record.keep(task.name, {**row, "state": DONE})
        # Libraries raise what they like, and one network must not end the others.
        except Exception as error:  # noqa: BLE001
            record.keep(task.name, {**row, "state": FAILED, "reason": one_line(error)})


def _compared(task: Task, bundle: Bundle, out: Path, test: Labelled, say: Say) -> dict[str, Any]:
    calibration = load_images(out / "images" / "calibration")
    batches = image_batches(evenly(calibration, len(calibration.files)), bundle.input, 1)
    images = np.concatenate(list(batches))
    sessions, reasons = _sessions(task, bundle, images, say)
    say(f"  labelling {len(test.images)} test images with {len(sessions)} graphs")
    labels = {
        name: np.array([infer(image[None]).argmax() for image in test.images])
        for name, infer in sessions.items()
    }
    return {
        "accuracy": {
            name: Share(int((found == test.labels).sum()), len(found)).to_dict()
            for name, found in labels.items()
        },
        "agreement": {n: round(float((v == labels[ORT]).mean()), 4) for n, v in labels.items()},
        "ms": timed(sessions, test.images[0]),
        "reasons": reasons,
    }


def _sessions(
    task: Task, bundle: Bundle, images: rivals.Images, say: Say
) -> tuple[dict[str, Infer], dict[str, str]]:
    """What each tool made, and why one made nothing."""
    fp32 = bundle.read("model.fp32.onnx")
    own = served(bundle)
    hint = any(word in task.network for word in _TRANSFORMERS)
    makers: dict[str, Callable[[], Infer]] = {
        ORT_DEFAULT: lambda: rivals.onnxruntime_default(fp32, images),
        NNCF_ORT: lambda: rivals.nncf_onnx(fp32, images, is_transformer=hint),
        OPENVINO: lambda: rivals.openvino_fp32(fp32),
        OPENVINO_INT8: lambda: rivals.openvino_int8(fp32, images, is_transformer=hint),
    }
    sessions, reasons = {ORT: own["fp32"]}, {}
    if X86 in own:
        sessions[OURS] = own[X86]
    else:
        reasons[OURS] = "the accuracy gate refused it"
    for name, make in makers.items():
        say(f"  {name}")
        try:
            sessions[name] = make()
        # As above: another tool's failure is a result.
        except Exception as error:  # noqa: BLE001
            reasons[name] = one_line(error)
    return sessions, reasons


def comparison_as_markdown(rows: list[Row]) -> str:
    lines: list[tuple[str, ...]] = []
    for row in rows:
        if row["state"] == FAILED:
            lines.append((row["network"], "failed: " + row["reason"].replace("|", "/")))
            continue
        lines += [_line(row, name) for name in (ORT, *OWN_FP32) if name in row["ms"]]
        lines += [(row["network"], name, f"none: {why}") for name, why in row["reasons"].items()]
    return table(_HEADER, [(*line, *[NOTHING] * (len(_HEADER) - len(line))) for line in lines])


def _line(row: Row, name: str) -> tuple[str, ...]:
    ms = row["ms"]
    own = OWN_FP32.get(name, name)
    return (
        row["network"],
        name,
        percent(row["accuracy"][name]["rate"]),
        percent(row["agreement"][name]),
        f"{ms[name]:.2f}",
        f"{ms[own] / ms[name]:.2f}",
        f"{ms[ORT] / ms[name]:.2f}",
    )
