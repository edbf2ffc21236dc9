"""Step: torch on the same GPU, in turn with the engines, at engine and at call level.

torch takes no part in reading files or writing sidecars, so that image and file level are not
measured with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.backends.interleave import CALLS_PER_ROUND, Latencies, interleave
from edge.backends.onnx import open_onnx
from edge.backends.trt.session import TensorRtSession
from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.image_files.read import read_image
from edge.preprocess import InputSpec, preprocess
from tests.gpu.kit import environment_without_kit
from tests.gpu.setting import ROOT, Found, Setting, SkippedError
from tests.gpu.steps.latency import Timed, engine_runs, timed

# By the addition to a batch's name. torch compiles for each batch size; what needs no compiler
# comes first, for all of them.
PASSES: Final = {"": ("eager fp32", "eager fp16"), ", compiled": ("compile fp16",)}
BATCHES: Final = (1, 8, 64)
BLOCKS: Final = 4
IMAGES: Final = 16
# The float networks differ in the order of their sums alone; torch may use TF32.
_DEVIATION: Final = 0.02
_NETWORK: Final = ROOT / "converters" / "architectures" / "efficientnet_lite0.py"
_WEIGHTS: Final = ROOT / "converters" / "reference" / "cells8.pt"
_SCRIPT: Final = Path(__file__).with_name("torch_peer.py")
# The first call of a compiled network compiles it.
_FIRST_S: Final = 180
_LATER_S: Final = 60
# With less than this left no compilation is begun.
_COMPILE_S: Final = 20
_BLOCK_MS: Final = 300.0

Times = dict[str, list[float]]


class Peer:
    """The other Python, asked line by line."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        assert process.stdout is not None
        self._process, self._answers, self._log = process, process.stdout, log
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._answers, selectors.EVENT_READ)
        self.greeting = self.read(_FIRST_S)

    def read(self, timeout_s: float) -> dict[str, Any]:
        """The next answer.

        Raises:
            EdgeError: none came.
        """
        if not self._selector.select(timeout_s):
            raise EdgeError(f"the torch process gave no answer within {timeout_s:.0f} s")
        line = self._answers.readline()
        if not line:
            code = self._process.wait(10)
            last = self._log.read_text("utf-8", "replace").strip().splitlines()[-1:]
            raise EdgeError(f"the torch process ended with {code}: {(last or ['nothing'])[0]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, asked: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """The answer to one question."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        return self.read(timeout_s)

    def close(self) -> None:
        """End the process."""
        self._selector.close()
        self._process.kill()
        self._process.communicate()


def against_torch(setting: Setting) -> Found:
    """Engines and torch take turns in blocks, for a few batch sizes."""
    python, bundle = setting.torch_python, setting.bundle
    if python is None:
        raise SkippedError("no --torch-python was given")
    if bundle.manifest.get("source", {}).get("sha256") != _sha256(_WEIGHTS):
        raise SkippedError("the bundle was not made from converters/reference/cells8.pt")
    images = _images(setting)
    with (
        setting.sessions() as sessions,
        open_peer(python, bundle.input, len(bundle.classes), images, setting.work) as peer,
    ):
        deviation = _deviation(bundle, images, peer.greeting.pop("logits"))
        if deviation > _DEVIATION:
            raise EdgeError(f"torch computes another network: logits differ by {deviation:.1%}")
        figures: dict[str, Any] = {**peer.greeting, "logits_deviation": deviation}
        figures |= {"failed": {}, "batches": {}}
        largest = min(session.max_batch for session in sessions.values())
        for title, variants in PASSES.items():
            for size in (size for size in BATCHES if size <= largest):
                if setting.left_s() < _COMPILE_S and title:
                    figures["failed"][f"batch {size}{title}"] = "no time was left"
                    continue
                batch = np.resize(images, (size, *images.shape[1:]))
                times, failed = race(setting, sessions, peer, batch, variants)
                latencies = {n: Latencies(np.array(v)).to_dict() for n, v in times.items()}
                figures["batches"][f"{size}{title}"] = latencies
                figures["failed"] |= failed
                setting.on_partial(figures)
    return Found(figures, tuple(_lines(figures)))


def _lines(figures: dict[str, Any]) -> list[str]:
    lines = [
        f"batch {size:>2} {name:20} p50 {facts['p50_ms']:.3f} ms"
        for size, by in figures["batches"].items()
        for name, facts in by.items()
    ]
    return lines + [f"{name}: {why}" for name, why in figures["failed"].items()]


@contextmanager
def open_peer(
    python: str,
    spec: InputSpec,
    classes: int,
    images: NDArray[np.uint8],
    folder: Path,
    *,
    device: str = "cuda",
) -> Iterator[Peer]:
    """Start the other Python; it is ended with the block."""
    path = folder / "peer-images.npy"
    np.save(path, images)
    numbers = [",".join(str(float(value)) for value in triple) for triple in (spec.mean, spec.std)]
    argv = [python, str(_SCRIPT), str(_NETWORK), str(_WEIGHTS), str(classes), *numbers]
    log = folder / "peer.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*argv, str(path), device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            env=environment_without_kit(os.environ),
        )
    try:
        peer = Peer(process, log)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    try:
        yield peer
    finally:
        peer.close()


def race(
    setting: Setting,
    sessions: Mapping[str, TensorRtSession],
    peer: Peer,
    images: NDArray[np.uint8],
    variants: tuple[str, ...],
) -> tuple[Times, dict[str, str]]:
    """Milliseconds of engines and torch by level and name, and what torch could not do."""
    size = len(images)
    asked = {
        f"{level} torch {variant}": {"variant": variant, "level": level, "batch": size}
        for level in ("engine", "call")
        for variant in variants
    }
    failed: dict[str, str] = {}
    rounds = max(1, setting.sizes.rounds // BLOCKS)
    for name, question in list(asked.items()):
        answer = peer.ask({**question, "calls": 3}, min(_FIRST_S, setting.left_s()))
        if "error" in answer:
            failed[f"{name} x{size}"] = answer["error"]
            del asked[name]
        else:
            # A slow variant gets fewer calls, so that it does not take the time of the others.
            affordable = int(_BLOCK_MS / max(min(answer["ms"]), 1e-3))
            question["calls"] = max(5, min(rounds * CALLS_PER_ROUND, affordable))
    times: Times = defaultdict(list)
    with engine_runs(setting.bundle, sessions, size) as runs:
        functions: dict[str, Timed] = {}
        for precision, session in sessions.items():
            functions[f"engine {precision}"] = timed(runs[precision])
            functions[f"call {precision}"] = lambda _, session=session: session.infer(images)  # type: ignore[misc]
        for _ in range(BLOCKS):
            for name, latencies in interleave(functions, rounds).items():
                times[name] += latencies.values_ms.tolist()
            for name, question in asked.items():
                answer = peer.ask(question, _LATER_S)
                times[name] += answer["ms"]
    return dict(times), failed


def _images(setting: Setting) -> NDArray[np.uint8]:
    paths, _ = setting.cells()
    return np.stack([preprocess(read_image(p), setting.bundle.input) for p in paths[:IMAGES]])


def _deviation(bundle: Bundle, images: NDArray[np.uint8], found: list[list[float]]) -> float:
    """Largest difference to the bundle's FP32 graph, as a share of the logits' range."""
    session = open_onnx(bundle.read(bundle.model("onnxruntime", "fp32").path), "fp32")
    expected = session.infer(images).logits
    session.close()
    return float(np.abs(np.array(found) - expected).max() / np.ptp(expected))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
