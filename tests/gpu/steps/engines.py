"""Steps: the device, the engines built on it, the golden images, the test split."""

from __future__ import annotations

import csv
import ctypes
import os
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.backends.onnx import open_onnx
from edge.backends.trt import gpu
from edge.backends.trt.library import Library
from edge.backends.trt.session import TensorRtSession, batch_sizes
from edge.bench.machine.environment import environment
from edge.bundle import Bundle
from edge.errors import BackendError, DeviceError
from edge.golden import TOLERANCE, check_session, open_labeller
from edge.image_files.read import read_image
from edge.preprocess import preprocess
from edge.session import InferenceSession
from edge.shares.share import Share
from tests.gpu.setting import Found, Setting, SkippedError

# The converter's own limit of accuracy lost (docs/conversion/gate.md).
MAX_DROP: Final = 0.005
_THREADS: Final = 8
_SMI_FIELDS: Final = ("clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit", "temperature.gpu")


def device(setting: Setting) -> Found:
    """What this run was measured on."""
    machine, bundle = setting.machine, setting.bundle
    figures = {
        "date": datetime.now(UTC).date().isoformat(),
        "is_real": is_real(setting.library),
        "gpu": machine.gpu,
        "compute_capability": machine.compute_capability,
        "driver": machine.driver,
        "os": machine.os,
        "library": str(setting.library),
        "pycuda": _package_version("pycuda"),
        "nvidia_smi": _nvidia_smi(),
        "environment": environment().to_dict(),
        "bundle": f"{bundle.name} {bundle.version}",
        "bundle_sha256": bundle.sha256,
        "disk": _filesystem(setting.work),
    }
    return Found(figures, (f"{machine.gpu}, driver {machine.driver}, {setting.library}",))


def is_real(library: Library) -> bool:
    """Whether driver and library are files of this machine; a test's stand-ins are none."""
    loaded = getattr(library.module, "__file__", None) is not None
    return loaded and isinstance(gpu.cuda_driver(), ctypes.CDLL)


def build(setting: Setting, precision: str) -> Found:
    """Build an engine from the bundle's graph, unless an earlier run kept it; look into it."""
    request, cache = setting.request(precision), setting.cache
    kept = cache.find(request)
    # Without the timing cache: it serves no first build, and this one must not die of it.
    plan = kept or cache.build(request, lambda _step, _done, _total: None, keeps_timings=False)
    record = plan.record
    figures: dict[str, Any] = {
        "seconds": record.seconds,
        "was_kept": kept is not None,
        "plan_bytes": len(plan.content),
        "layers": record.layers,
        "quantize_layers": record.quantize_layers,
        "flags": list(record.flags),
    }
    setting.on_partial(figures)
    session = setting.open(precision)
    try:
        figures["layer_precisions"] = session.layer_precisions()
        figures["has_graphs"] = _has_graphs(session)
    finally:
        session.close()
    return Found(figures, (f"{precision}: {figures}",))


def golden(setting: Setting, precision: str) -> Found:
    """Golden images alone and together, then one of them in every batch size, up and down.

    Each batch size has a CUDA graph; changing sizes show whether one spoils another.
    """
    plan = setting.plan(precision)
    session = setting.open(precision)
    try:
        deviation = _batch_deviation(setting.bundle, session)
    except DeviceError:
        raise
    except BackendError as error:
        setting.refused[precision] = str(error)
        # The daemon of a later step would build it anew.
        setting.cache.note_failure(setting.request(precision), plan)
        return Found({"refused": str(error)}, problem=f"{precision} refused: {error}")
    finally:
        session.close()
    setting.proven.add(precision)
    images = len(setting.bundle.golden)
    line = f"{precision}: {images} golden images right"
    return Found({"images": images, "batch_deviation": deviation}, (line,))


def _batch_deviation(bundle: Bundle, session: TensorRtSession) -> float:
    """How far one image's logits differ between batch sizes, as a share of their range.

    Raises:
        BackendError: that is too far, or the golden images are not given their labels.
    """
    check_session(bundle, session)
    image = read_image(bundle.root / bundle.golden[0].path)
    small = preprocess(image, bundle.input)
    alone = session.infer(small[np.newaxis]).logits[0]
    sizes = batch_sizes(session.max_batch)
    worst = max(
        float(np.abs(session.infer(np.stack([small] * n)).logits - alone).max())
        for n in (*sizes, *reversed(sizes))
    )
    share = worst / float(np.ptp(alone))
    if share > TOLERANCE[session.precision]:
        raise BackendError(f"batches differ by {share:.1%} of the logits")
    return share


def accuracy(setting: Setting) -> Found:
    """The test split: the engines, then FP32 by ONNX Runtime on the CPU to compare with."""
    files = _test_files(setting)
    labels: dict[str, list[str]] = {}
    with setting.sessions() as sessions:
        for precision, session in sessions.items():
            labels[precision] = _labels(setting.bundle, session, list(files))
            setting.on_partial(_shares(labels, list(files.values())))
    labels = {"fp32": _labels(setting.bundle, _open_fp32(setting.bundle), list(files)), **labels}
    figures = _shares(labels, list(files.values()))
    return Found(figures, tuple(_accuracy_lines(figures)), _drop(figures))


def _shares(labels: dict[str, list[str]], files: list[tuple[str, str]]) -> dict[str, Any]:
    """What is right; `files` hold class and kind of each image."""
    figures: dict[str, Any] = {}
    for precision, found in labels.items():
        right = [label == cell_class for label, (cell_class, _) in zip(found, files, strict=True)]
        native = [ok for ok, (_, kind) in zip(right, files, strict=True) if kind == "native"]
        figures[precision] = {
            "right": Share(sum(right), len(right)).to_dict(),
            "native": Share(sum(native), len(native)).to_dict(),
        }
        if "fp32" in labels:
            same = [one == other for one, other in zip(found, labels["fp32"], strict=True)]
            figures[precision]["same_as_fp32"] = Share(sum(same), len(same)).to_dict()
    return figures


def _accuracy_lines(figures: dict[str, Any]) -> list[str]:
    return [
        f"{precision}: {facts['right']['count']} of {facts['right']['total']} right, "
        f"{facts['same_as_fp32']['count']} as fp32"
        for precision, facts in figures.items()
    ]


def _drop(figures: dict[str, Any]) -> str | None:
    base = figures["fp32"]["right"]["rate"]
    lost = {p: base - facts["right"]["rate"] for p, facts in figures.items()}
    worse = [f"{p} loses {drop:.1%}" for p, drop in lost.items() if drop > MAX_DROP]
    return f"{', '.join(worse)} of the test images; {MAX_DROP:.1%} allowed" if worse else None


def _open_fp32(bundle: Bundle) -> InferenceSession:
    content = bundle.read(bundle.model("onnxruntime", "fp32").path)
    return open_onnx(content, "fp32", threads=min(_THREADS, len(os.sched_getaffinity(0))))


def _labels(bundle: Bundle, session: InferenceSession, paths: list[Path]) -> list[str]:
    """The most probable class, also below the confidence limit."""
    labeller = open_labeller(bundle, session)
    decisions = [labeller.label(path).decision for path in paths]
    return [decision.label if decision else "rejected" for decision in decisions]


def _test_files(setting: Setting) -> dict[Path, tuple[str, str]]:
    """Class and kind of each image of the test split; kinds come from the manifest."""
    if setting.data is None:
        raise SkippedError("no --data was given")
    root, kinds = setting.data, {}
    if (root / "manifest.csv").is_file():
        with (root / "manifest.csv").open(newline="", encoding="utf-8") as stream:
            kinds = {row["file"]: row["kind"] for row in csv.DictReader(stream)}
    files = {
        path: (cell_class, kinds.get(str(path.relative_to(root)), "native"))
        for cell_class in setting.bundle.classes
        for path in sorted((root / "test" / cell_class).glob("*.jpg"))
    }
    if not files:
        raise SkippedError(f"{root}/test has no folders of the bundle's classes")
    return files


def _has_graphs(session: TensorRtSession) -> bool:
    return bool(session._loaded and session._loaded.graphs)  # noqa: SLF001 - what lies on the GPU


def _package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed as a package"


def _nvidia_smi() -> dict[str, str] | str:
    """Clocks and limits now; a reason where they cannot be had."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "no nvidia-smi"
    argv = [program, f"--query-gpu={','.join(_SMI_FIELDS)}", "--format=csv,noheader", "--id=0"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    values = [value.strip() for value in done.stdout.strip().split(",")]
    if done.returncode != 0 or len(values) != len(_SMI_FIELDS):
        return f"nvidia-smi ended with {done.returncode}"
    return dict(zip(_SMI_FIELDS, values, strict=True))


def _filesystem(folder: Path) -> str:
    """The kind of file system; fsync costs nothing on some of them."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    inside = [(len(place), kind) for place, kind in mounts if folder.is_relative_to(place)]
    return max(inside)[1] if inside else "unknown"
