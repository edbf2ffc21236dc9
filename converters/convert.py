"""One conversion, from a trained model to a bundle. Read `convert` from top to bottom."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.agreement import Validation
from converters.calibration import Calibration, calibrate
from converters.calibration_cache import cache_key, cached
from converters.card import DRAWN, ModelCard
from converters.checkpoint import SourceModel, open_model
from converters.diagnosis import diagnose, open_core
from converters.gate import Gate, failures
from converters.image_set import ImageSet, draw_images, image_batches, load_images
from converters.judging import Judging
from converters.onnx_to_int8 import quantizable_tensors
from converters.pack import Contents, write_bundle
from converters.placement import TENSORRT, X86, X86_7BIT
from converters.quantization import Problem, Solution, build, solve
from converters.torch_to_onnx import source_to_onnx
from edge.backends.onnx import open_onnx
from edge.bench.measure import Latencies, interleave
from edge.errors import AccuracyGateError, ConfigError, ModelError

# Above this share of the logits' range the exported graph computes something else.
EXPORT_TOLERANCE: Final = 1e-3
EXPORT_CHECK_IMAGES: Final = 8
SPEED_ROUNDS: Final = 20
# Images on which range methods and layers are compared.
PROBE_IMAGES: Final = 48
DRAWN_VALIDATION_COUNT: Final = 200
# Not the demo's seeds: the demo's cells are neither calibrated nor validated on.
DRAWN_CALIBRATION_SEED: Final = 7_919
DRAWN_VALIDATION_SEED: Final = 104_729

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What the person asked for. Folders given here win over the card's.

    Attributes:
        strict: refuse where INT8 cannot pass the gate, in place of an FP32 bundle.
        cache: folder for calibration results, None for none.
        trust_pickle: `sha256:HEX` of a pickled model that may run its code.
    """

    model: Path
    card: ModelCard
    target: Path
    int8: bool
    calibration: Path | str | None = None
    validation: Path | str | None = None
    calibration_limit: int = 256
    overwrite: bool = False
    strict: bool = False
    cache: Path | None = None
    trust_pickle: str | None = None
    gate: Gate = field(default_factory=Gate)


@dataclass(frozen=True, slots=True)
class Quantized:
    """The INT8 graphs by the name of their placement, and what was calibrated on."""

    solutions: dict[str, Solution]
    calibration: Calibration
    origin: str

    def held(self) -> dict[str, Solution]:
        """The graphs that passed the gate."""
        return {name: found for name, found in self.solutions.items() if found.holds}


@dataclass(frozen=True, slots=True)
class Report:
    """What a person wants to see of a finished conversion."""

    target: Path
    source: SourceModel
    sizes_bytes: dict[str, int]
    latencies: dict[str, Latencies]
    judging: Judging
    quantized: Quantized | None
    warnings: tuple[str, ...]


def convert(request: Request, on_progress: OnProgress) -> Report:
    """Convert, compare, and write the bundle with what passed the accuracy gate.

    Args:
        on_progress: called with (step, done, total).

    Raises:
        EdgeError: of the kind that decides the exit code; nothing is left behind.
    """
    card = request.card
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as scratch:
        calibration_images = _calibration_images(request, Path(scratch))
        validation_images = _validation_images(request, Path(scratch))
        samples = _sample_images(validation_images, card)
        source = open_model(request.model, card, samples, trust_pickle=request.trust_pickle)
        fp32 = source_to_onnx(source, card.input)
        check_export(source, fp32, card, samples)
        diagnose(open_core(fp32), validation_images, card, on_progress)
        validation = Validation.from_images(validation_images, card.classes)
        judging = Judging(fp32, card, validation, request.gate, on_progress)
        quantized = (
            quantize_for_all(request, fp32, calibration_images, judging, on_progress)
            if calibration_images
            else None
        )
        if quantized and request.strict:
            require_int8(quantized)
        models = _chosen_models(fp32, quantized)
        latencies = _race(models, validation_images, card, on_progress)
        contents = Contents(
            card=card,
            source=source,
            models={name: m.SerializeToString(deterministic=True) for name, m in models.items()},
            # Quantization that does not pay is not worth its risk.
            default_precision=min(latencies, key=lambda name: latencies[name].median),
            judging=judging,
            quantized=quantized,
        )
        write_bundle(request.target, contents, overwrite=request.overwrite)
    return Report(
        target=request.target,
        source=source,
        sizes_bytes={name: len(content) for name, content in contents.models.items()},
        latencies=latencies,
        judging=judging,
        quantized=quantized,
        warnings=tuple(_warnings(card, judging, quantized)),
    )


def quantize_for_all(
    request: Request,
    fp32: onnx.ModelProto,
    images: ImageSet,
    judging: Judging,
    on_progress: OnProgress,
) -> Quantized:
    """Calibrate once and solve for every placement from the same histograms."""
    spec = request.card.input
    tensors = quantizable_tensors(fp32, X86, TENSORRT)
    calibration = cached(
        request.cache,
        cache_key(fp32, tensors, images.sha256, spec),
        lambda: calibrate(
            fp32, tensors, images, spec, lambda done, of: on_progress("calibrating", done, of)
        ),
    )
    few = ImageSet(images.origin, _evenly(images.files, PROBE_IMAGES), "")
    (probe,) = image_batches(few, spec, PROBE_IMAGES)
    probe_logits = open_onnx(fp32.SerializeToString(), "fp32").infer(probe)
    problem = Problem(fp32, calibration, spec, probe, probe_logits, judging, on_progress)
    solutions = {p.name: solve(problem, p) for p in (X86, TENSORRT)}
    solutions[X86_7BIT.name] = _with_seven_bits(problem, solutions[X86.name])
    return Quantized(solutions, calibration, images.origin)


def require_int8(quantized: Quantized) -> None:
    """Refuse where the graph for this kind of machine misses the gate.

    Raises:
        AccuracyGateError: which limit was missed, and that rescue did not help.
    """
    solution = quantized.solutions[X86.name]
    if not solution.holds:
        tried = f" even with {len(solution.steps)} layers in float" if solution.steps else ""
        raise AccuracyGateError(
            f"{failures(solution.checks)[0].text}{tried} (validated on "
            f"{solution.evidence.validation.origin}). Nothing was written. Calibrate on more "
            "images like those of the analyzer, or convert without --strict for an FP32 bundle."
        )


def check_export(
    source: SourceModel, exported: onnx.ModelProto, card: ModelCard, batch: NDArray[np.uint8]
) -> None:
    """The exported graph gives the source's logits on sample images, alone and in a batch.

    Raises:
        ModelError: it does not, or the number of classes is not the card's.
    """
    expected = source.sample_logits
    if expected.shape != (len(batch), len(card.classes)):
        raise ModelError(
            f"{source.path.name} gives outputs of shape {expected.shape} for {len(batch)} images; "
            f"the card's {len(card.classes)} classes need ({len(batch)}, {len(card.classes)})."
        )
    if not np.isfinite(expected).all():
        raise ModelError(
            f"{source.path.name} gives NaN or infinite logits on validation images. Its weights "
            "are damaged; export the trained ones again."
        )
    if (expected >= 0).all() and np.allclose(expected.sum(axis=1), 1.0, atol=1e-3):
        raise ModelError(
            f"{source.path.name} gives probabilities, not logits: each row sums to 1. Export it "
            "without its last softmax."
        )
    session = open_onnx(exported.SerializeToString(), "fp32")
    range_ = max(float(np.ptp(expected)), 1e-6)
    alone = np.concatenate([session.infer(batch[i : i + 1]) for i in range(len(batch))])
    for what, logits in (("one image", alone), ("a batch", session.infer(batch))):
        deviation = float(np.abs(logits - expected).max()) / range_
        if not deviation <= EXPORT_TOLERANCE:
            raise ModelError(
                f"the exported model differs from {source.path.name} by {deviation:.2%} of the "
                f"logits' range on {what}. Export to ONNX yourself and convert that file."
            )


def _sample_images(images: ImageSet, card: ModelCard) -> NDArray[np.uint8]:
    first = ImageSet(images.origin, _evenly(images.files, EXPORT_CHECK_IMAGES), "")
    (batch,) = image_batches(first, card.input, EXPORT_CHECK_IMAGES)
    return batch


def _calibration_images(request: Request, scratch: Path) -> ImageSet | None:
    if not request.int8:
        return None
    chosen = request.calibration or request.card.calibration
    if chosen is None:
        raise ConfigError(
            "INT8 needs calibration images and the card names none. Give --calibration DIR with "
            "some hundred exported images (no labels needed)."
        )
    if chosen == DRAWN:
        return draw_images(
            request.calibration_limit, DRAWN_CALIBRATION_SEED, scratch / "calibration"
        )
    return load_images(Path(chosen), limit=request.calibration_limit)


def _validation_images(request: Request, scratch: Path) -> ImageSet:
    chosen = request.validation or request.card.validation
    if chosen is None:
        raise ConfigError(
            "the accuracy check needs validation images and the card names none. Give "
            "--validation DIR with one folder of images per class."
        )
    if chosen == DRAWN:
        return draw_images(DRAWN_VALIDATION_COUNT, DRAWN_VALIDATION_SEED, scratch / "validation")
    return load_images(Path(chosen), request.card.classes)


def _with_seven_bits(problem: Problem, solution: Solution) -> Solution:
    """The same graph for CPUs without VNNI, judged by itself."""
    kept = [step.kept_float for step in solution.steps]
    int8 = build(problem, X86_7BIT, solution.ranges, kept_float=kept)
    evidence, checks = problem.judge(int8, X86_7BIT)
    return replace(
        solution,
        placement=X86_7BIT,
        int8=int8,
        evidence=evidence,
        checks=checks,
        naive_checks=checks,
        seconds=0.0,
    )


def _chosen_models(
    fp32: onnx.ModelProto, quantized: Quantized | None
) -> dict[str, onnx.ModelProto]:
    held = quantized.held() if quantized else {}
    names = {X86.name: "int8", X86_7BIT.name: "int8.7bit", TENSORRT.name: "int8.trt"}
    chosen = {names[name]: held[name].int8.model for name in names if name in held}
    if "int8" not in chosen:
        # A machine without VNNI must not run what a machine with it may not.
        chosen.pop("int8.7bit", None)
    return {"fp32": fp32, **chosen}


def _race(
    models: dict[str, onnx.ModelProto],
    images: ImageSet,
    card: ModelCard,
    on_progress: OnProgress,
) -> dict[str, Latencies]:
    """Time the graphs that ONNX Runtime serves on a machine like this one."""
    (batch,) = image_batches(ImageSet(images.origin, images.files[:1], ""), card.input, 1)

    def infer_with(model: onnx.ModelProto) -> Callable[[int], object]:
        session = open_onnx(model.SerializeToString(), "int8")
        return lambda _: session.infer(batch)

    return interleave(
        {name: infer_with(models[name]) for name in ("fp32", "int8") if name in models},
        SPEED_ROUNDS,
        on_round=lambda done, total: on_progress("measuring speed", done, total),
    )


def _warnings(card: ModelCard, judging: Judging, quantized: Quantized | None) -> list[str]:
    found = judging.warnings()
    if quantized is None:
        return found
    found += quantized.calibration.warnings(card.classes)
    for solution in quantized.solutions.values():
        if not solution.holds:
            missed = failures(solution.checks)[0].text
            found.append(f"no INT8 graph for {solution.placement.name}: {missed}")
    return found


def _evenly(
    files: tuple[tuple[str | None, Path], ...], count: int
) -> tuple[tuple[str | None, Path], ...]:
    picked = np.unique(np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int))
    return tuple(files[i] for i in picked)
