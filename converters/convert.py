"""One conversion, from a trained model to a bundle. Read `convert` from top to bottom."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx

from converters.agreement import Evidence, Gate, check_gate, compare
from converters.calibration import Ranges, calibrate
from converters.card import DRAWN, ModelCard
from converters.checkpoint import SourceModel, open_model
from converters.image_set import ImageSet, draw_images, image_batches, load_images
from converters.onnx_to_int8 import Int8Model, quantize
from converters.pack import Contents, write_bundle
from converters.torch_to_onnx import normalise, source_to_onnx
from edge.backends.base import InferenceSession
from edge.backends.onnx import open_onnx
from edge.bench.measure import Latencies, interleave
from edge.errors import ConfigError, ModelError
from edge.labeller import Labeller

# Above this share of the logits' range the exported graph computes something else.
EXPORT_TOLERANCE: Final = 1e-3
EXPORT_CHECK_IMAGES: Final = 8
SPEED_ROUNDS: Final = 20
DRAWN_VALIDATION_COUNT: Final = 200
# Not the demo's seeds: the demo's cells are neither calibrated nor validated on.
DRAWN_CALIBRATION_SEED: Final = 7_919
DRAWN_VALIDATION_SEED: Final = 104_729

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What the person asked for. Folders given here win over the card's."""

    model: Path
    card: ModelCard
    target: Path
    int8: bool
    calibration: Path | str | None = None
    validation: Path | str | None = None
    calibration_limit: int = 256
    overwrite: bool = False
    gate: Gate = field(default_factory=Gate)


@dataclass(frozen=True, slots=True)
class Report:
    """What a person wants to see of a finished conversion."""

    target: Path
    source: SourceModel
    sizes_bytes: dict[str, int]
    latencies: dict[str, Latencies]
    evidence: Evidence
    calibration: str | None
    quantized_layers: int
    float_layers: tuple[str, ...]


def convert(request: Request, on_progress: OnProgress) -> Report:
    """Convert, compare, and write the bundle only if the accuracy gate holds.

    Args:
        on_progress: called with (step, done, total).

    Raises:
        EdgeError: of the kind that decides the exit code; nothing is left behind.
    """
    card, spec = request.card, request.card.input
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as scratch:
        calibration = _calibration_images(request, Path(scratch))
        validation = _validation_images(request, Path(scratch))
        source = open_model(request.model, card)
        fp32 = source_to_onnx(source, spec)
        check_export(source, fp32, card, validation)
        int8, ranges = _quantize(request, fp32, calibration, on_progress)
        sessions = _open_sessions(fp32, int8)
        labellers = {name: _labeller(session, card) for name, session in sessions.items()}
        evidence = compare(
            labellers["fp32"],
            labellers.get("int8", labellers["fp32"]),
            validation,
            card.classes,
            lambda done, total: on_progress("comparing FP32 and INT8", done, total),
        )
        check_gate(evidence, request.gate)
        latencies = _race(sessions, validation, card, on_progress)
        models = {"fp32": fp32.SerializeToString(deterministic=True)}
        if int8 is not None:
            models["int8"] = int8.model.SerializeToString(deterministic=True)
        contents = Contents(
            card=card,
            source=source,
            models=models,
            # Quantization that does not pay is not worth its risk.
            default_precision=min(latencies, key=lambda name: latencies[name].median),
            quantization=_quantization_facts(int8, ranges, calibration),
            evidence=evidence,
        )
        write_bundle(request.target, contents, overwrite=request.overwrite)
    return Report(
        target=request.target,
        source=source,
        sizes_bytes={name: len(content) for name, content in models.items()},
        latencies=latencies,
        evidence=evidence,
        calibration=f"{len(calibration.files)} images of {calibration.origin}"
        if calibration
        else None,
        quantized_layers=len(int8.quantized_layers) if int8 else 0,
        float_layers=int8.float_layers if int8 else (),
    )


def check_export(
    source: SourceModel, exported: onnx.ModelProto, card: ModelCard, images: ImageSet
) -> None:
    """The exported graph gives the source's logits on real images, alone and in a batch.

    Raises:
        ModelError: it does not, or the number of classes is not the card's.
    """
    first = ImageSet(images.origin, images.files[:EXPORT_CHECK_IMAGES], "")
    (batch,) = image_batches(first, card.input, EXPORT_CHECK_IMAGES)
    expected = source.reference(normalise(batch, card.input))
    if expected.shape != (len(batch), len(card.classes)):
        raise ModelError(
            f"{source.path.name} gives outputs of shape {expected.shape} for {len(batch)} images; "
            f"the card's {len(card.classes)} classes need ({len(batch)}, {len(card.classes)})."
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


def _quantize(
    request: Request, fp32: onnx.ModelProto, calibration: ImageSet | None, on_progress: OnProgress
) -> tuple[Int8Model | None, Ranges | None]:
    if calibration is None:
        return None, None
    ranges = calibrate(
        fp32,
        calibration,
        request.card.input,
        lambda done, total: on_progress("calibrating", done, total),
    )
    return quantize(fp32, ranges, request.card.input), ranges


def _open_sessions(fp32: onnx.ModelProto, int8: Int8Model | None) -> dict[str, InferenceSession]:
    sessions: dict[str, InferenceSession] = {"fp32": open_onnx(fp32.SerializeToString(), "fp32")}
    if int8 is not None:
        sessions["int8"] = open_onnx(int8.model.SerializeToString(), "int8")
    return sessions


def _labeller(session: InferenceSession, card: ModelCard) -> Labeller:
    return Labeller(
        session,
        classes=card.classes,
        spec=card.input,
        unidentified_below=card.unidentified_below,
    )


def _race(
    sessions: dict[str, InferenceSession],
    images: ImageSet,
    card: ModelCard,
    on_progress: OnProgress,
) -> dict[str, Latencies]:
    one = ImageSet(images.origin, images.files[:1], "")
    (batch,) = image_batches(one, card.input, 1)

    def infer_with(session: InferenceSession) -> Callable[[int], object]:
        return lambda _: session.infer(batch)

    return interleave(
        {name: infer_with(session) for name, session in sessions.items()},
        SPEED_ROUNDS,
        on_round=lambda done, total: on_progress("measuring speed", done, total),
    )


def _quantization_facts(
    int8: Int8Model | None, ranges: Ranges | None, calibration: ImageSet | None
) -> dict[str, Any] | None:
    if int8 is None or ranges is None or calibration is None:
        return None
    return {
        "method": ranges.method,
        "activations": "uint8 per tensor",
        "weights": "int8 per channel",
        "calibration": {
            "origin": calibration.origin,
            "images": ranges.image_count,
            "sha256": ranges.images_sha256,
        },
        "quantized_layers": len(int8.quantized_layers),
        "float_layers": [
            {"name": name, "why": "not a convolution or linear layer with constant weights"}
            for name in int8.float_layers
        ],
    }
