"""One conversion, from a trained model to a bundle. `convert` lists its steps in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.accuracy.comparison import Validation
from converters.accuracy.validation_size import require_enough_images
from converters.bundle.confidences import Confidences, judge_confidences
from converters.bundle.pack import Contents, write_bundle
from converters.card_check.core import open_at_any_size
from converters.card_check.diagnosis import diagnose
from converters.card_check.first_norm import find_first_norm
from converters.export.export_check import check_export, sample_images
from converters.export.torch_to_onnx import source_to_onnx
from converters.familiarity.graphs import open_graphs
from converters.familiarity.laboratory import Laboratory
from converters.familiarity.learn import learn_laboratory
from converters.features.given import give_features
from converters.inputs.card import ModelCard
from converters.inputs.image_set import ImageSet, evenly, image_batches
from converters.int8.graphs import FP16, FP32, INT8, INT8_7BIT, QUANTIZED
from converters.loading.checkpoint import SourceModel, open_model, reopen_for_any_size
from converters.new_card.contradictions import contradictions
from converters.search.judging import Judging
from converters.targets.failure import Failure, result_or_failure
from converters.targets.fp16_model import Fp16Model, make_fp16
from converters.targets.quantized import Quantized, quantize_for_all, require_int8
from converters.targets.request import (
    ConversionRequest,
    calibration_images,
    reference_images,
    validation_images,
)
from converters.targets.warnings import target_warnings
from edge.backends.cpu import has_vnni
from edge.backends.interleave import Latencies, interleave
from edge.backends.onnx import open_onnx
from edge.files.scratch import scratch_folder
from edge.text.progress import OnProgress

SPEED_ROUNDS: Final = 20
# The largest value of each tensor on these images, times two, is taken for its range.
RANGE_IMAGES: Final = 16


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a finished conversion, for the text that is printed.

    Attributes:
        latencies: by name, of the graphs that a machine like this one serves.
        fp32_reason: why a bundle that was to hold INT8 for CPUs holds FP32 alone; None otherwise.
        traces: of the graphs that could not be made, for `--debug`.
    """

    target: Path
    source: SourceModel
    sizes_bytes: dict[str, int]
    latencies: dict[str, Latencies]
    laboratory: Laboratory
    judging: Judging
    quantized: Quantized | None
    fp16: Fp16Model | Failure
    confidences: Confidences
    warnings: tuple[str, ...]
    left_out: tuple[str, ...]
    fp32_reason: str | None
    traces: tuple[str, ...]


def convert(request: ConversionRequest, on_progress: OnProgress) -> Report:
    """Convert, compare, and write the bundle with the graphs that passed the accuracy gate.

    Args:
        on_progress: called with (step, done, total).

    Raises:
        EdgeError: its class determines the exit code; no files are left behind.
    """
    card = request.card
    with scratch_folder("edge-convert-") as scratch:
        to_calibrate = calibration_images(request, scratch, on_progress)
        to_judge = validation_images(request, scratch, on_progress)
        # Before the work of minutes to hours, so that a wrong folder is told at once.
        of_laboratory = reference_images(request, to_calibrate, to_judge, on_progress)
        source, fp32, doubts = _open(request, to_judge, on_progress)
        validation = Validation.from_images(to_judge, card.classes)
        judging = Judging(fp32, card, validation, request.gate, on_progress)
        fp16 = result_or_failure(
            lambda: make_fp16(fp32, judging, _range_images(to_calibrate or to_judge, card))
        )
        quantized = (
            quantize_for_all(request, fp32, to_calibrate, judging, fp16, on_progress)
            if to_calibrate
            else None
        )
        if quantized and request.strict:
            require_int8(quantized)
        chosen = _chosen_models(fp32, fp16, quantized)
        on_progress("giving features", 0, 1)
        features = give_features(chosen, sample_images(to_judge, card))
        models = features.models
        latencies = _time_graphs(models, to_judge, card, on_progress)
        # A quantized graph that is not faster than FP32 is not worth its loss of accuracy.
        fastest = min(latencies, key=lambda name: latencies[name].median)
        laboratory = learn_laboratory(
            open_graphs(models, fastest),
            of_laboratory,
            card.input,
            len(card.classes),
            on_progress,
            # The folder of --reference may be of another laboratory than they are.
            () if request.reference else _labelled(to_judge, card),
        )
        contents = Contents(
            card=card,
            source=source,
            models={name: m.SerializeToString(deterministic=True) for name, m in models.items()},
            fastest=fastest,
            judging=judging,
            quantized=quantized,
            fp16=fp16,
            confidences=judge_confidences(judging, quantized, fp16),
            features=features,
            laboratory=laboratory,
        )
        write_bundle(request.target, contents, overwrite=request.overwrite)
    return _report(request, contents, latencies, doubts, (to_judge, to_calibrate, of_laboratory))


def _open(
    request: ConversionRequest, to_judge: ImageSet, on_progress: OnProgress
) -> tuple[SourceModel, onnx.ModelProto, list[str]]:
    """The model, its FP32 graph, and warnings about the card; refuses a wrong card."""
    card = request.card
    samples = sample_images(to_judge, card)
    source = open_model(request.model, card, samples, trust_pickle=request.trust_pickle)
    fp32 = source_to_onnx(source, card.input)
    check_export(source, fp32, card, samples)
    # Checked after the model: a class too many in the card must be reported as a mismatch with the
    # model, not as missing images.
    if not request.allow_weak_validation:
        require_enough_images(to_judge, card.classes)
    norm = find_first_norm(source.graph)
    doubts = diagnose(
        open_at_any_size(source.graph),
        to_judge,
        card,
        on_progress,
        norm,
        lambda: open_at_any_size(reopen_for_any_size(source, card, samples, request.trust_pickle)),
    )
    return source, fp32, doubts


def _chosen_models(
    fp32: onnx.ModelProto, fp16: Fp16Model | Failure, quantized: Quantized | None
) -> dict[str, onnx.ModelProto]:
    held = quantized.held() if quantized else {}
    chosen = {k.name: held[k.target].int8.model for k in QUANTIZED if k.target in held}
    if INT8.name not in chosen:
        # If INT8 was refused for machines with VNNI, machines without it do not get it either.
        chosen.pop(INT8_7BIT.name, None)
    if isinstance(fp16, Fp16Model) and fp16.holds:
        chosen[FP16.name] = fp16.model
    return {FP32.name: fp32, **chosen}


def _time_graphs(
    models: dict[str, onnx.ModelProto],
    images: ImageSet,
    card: ModelCard,
    on_progress: OnProgress,
) -> dict[str, Latencies]:
    """Time, by name, the graphs that ONNX Runtime serves on a machine like this one."""
    (batch,) = image_batches(evenly(images, 1), card.input, 1)

    def infer_with(model: onnx.ModelProto) -> Callable[[int], object]:
        session = open_onnx(model.SerializeToString(), "int8")
        return lambda _: session.infer(batch)

    served = (FP32.name, INT8.name if has_vnni() else INT8_7BIT.name)
    return interleave(
        {name: infer_with(models[name]) for name in served if name in models},
        SPEED_ROUNDS,
        on_round=partial(on_progress, "measuring speed"),
    )


def _labelled(images: ImageSet, card: ModelCard) -> list[tuple[int, Path]]:
    """The images whose classes are known, with the indices of those."""
    return [(card.classes.index(label), path) for label, path in images.files if label]


def _range_images(images: ImageSet, card: ModelCard) -> NDArray[np.uint8]:
    """The images on which the range of every tensor is measured."""
    few = evenly(images, RANGE_IMAGES)
    return np.concatenate(list(image_batches(few, card.input, RANGE_IMAGES)))


def _report(
    request: ConversionRequest,
    contents: Contents,
    latencies: dict[str, Latencies],
    doubts: list[str],
    image_sets: tuple[ImageSet | None, ...],
) -> Report:
    quantized, fp16 = contents.quantized, contents.fp16
    return Report(
        target=request.target,
        source=contents.source,
        sizes_bytes={name: len(content) for name, content in contents.models.items()},
        latencies=latencies,
        laboratory=contents.laboratory,
        judging=contents.judging,
        quantized=quantized,
        fp16=fp16,
        confidences=contents.confidences,
        warnings=(*doubts, *_warnings(contents)),
        left_out=tuple(
            dict.fromkeys(
                f"{images.origin}: {line}"
                for images in image_sets
                if images
                for line in images.left_out
            )
        ),
        fp32_reason=quantized.absent().get(INT8.target) if quantized else None,
        traces=_traces(fp16, quantized),
    )


def _warnings(contents: Contents) -> list[str]:
    card, source, quantized = contents.card, contents.source, contents.quantized
    found = [*source.warnings(), *contradictions(source.path, card), *contents.judging.warnings()]
    if quantized and quantized.calibration:
        found += quantized.calibration.warnings(card.classes)
    found += target_warnings(contents.fp16, quantized)
    return [*found, *contents.features.warnings(), *contents.laboratory.warnings(card.classes)]


def _traces(fp16: Fp16Model | Failure, quantized: Quantized | None) -> tuple[str, ...]:
    failed = [fp16, *(quantized.failed.values() if quantized else ())]
    return tuple(dict.fromkeys(f.trace for f in failed if isinstance(f, Failure) and f.trace))
