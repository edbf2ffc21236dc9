"""Measures the steps of labelling one image, each alone and end to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.backends.interleave import Latencies, interleave
from edge.bundle import Bundle
from edge.golden import open_labeller
from edge.image_files.read import read_named_image
from edge.labeller import Labeller, Outcome
from edge.preprocess import preprocess
from edge.session import InferenceSession
from edge.sidecar import (
    FORMATS,
    Origin,
    model_facts,
    now,
    sidecar_fields,
    sidecar_files,
    write_sidecars,
)
from edge.text.printable import printable_name
from edge.text.progress import OnCount
from edge.trust.statistics import picture_statistics

Stage = Callable[[int], object]

# Too many for all of them to stay in the processor's caches.
DISTINCT_IMAGES: Final = 64


@dataclass(frozen=True, slots=True)
class StageResults:
    """Latencies by stage. The names of `infer` and `end to end` contain the precision.

    `images_per_call` has the batch size of the stages that run batches.
    """

    stages: dict[str, Latencies]
    precisions: tuple[str, ...]
    backend: str
    images_per_call: dict[str, int] = field(default_factory=dict)

    @property
    def baseline(self) -> str:
        """The precision that INT8 is compared with: FP32 on a CPU, FP16 on a GPU."""
        return "fp32" if "fp32" in self.precisions else "fp16"

    def speed_up(self, stage: str) -> float | None:
        """The baseline's median divided by INT8's; None if either was not measured."""
        if {self.baseline, "int8"} - set(self.precisions):
            return None
        before = self.stages[f"{stage} {self.baseline}"].median
        return before / self.stages[f"{stage} int8"].median


def measure_stages(
    bundle: Bundle,
    sessions: list[InferenceSession],
    images: list[Path],
    output: Path,
    rounds: int,
    *,
    batches: tuple[int, ...] = (),
    on_round: OnCount,
) -> StageResults:
    """Time the stages in turns; each call takes the next image.

    Args:
        sessions: one per precision; each is first checked on the golden images.
        output: an empty folder for sidecars, on the disk whose speed is to be measured.
        batches: batch sizes whose inference is measured too.
    """
    labellers = [open_labeller(bundle, session) for session in sessions]
    functions = {
        **_shared_stages(bundle, labellers[0], images, output),
        **{f"infer {one.session.precision}": _infer(bundle, one, images) for one in labellers},
        **{
            f"end to end {one.session.precision}": _end_to_end(bundle, one, images, output)
            for one in labellers
        },
    }
    sizes: dict[str, int] = {}
    for one in labellers:
        for size in batches:
            name = f"infer {one.session.precision} x{size}"
            functions[name], sizes[name] = _infer_batch(bundle, one, images, size), size
    stages = interleave(functions, rounds, on_round=on_round)
    precisions = tuple(session.precision for session in sessions)
    return StageResults(stages, precisions, sessions[0].backend, sizes)


def _shared_stages(
    bundle: Bundle, labeller: Labeller, images: list[Path], output: Path
) -> dict[str, Stage]:
    """The stages that do not depend on the precision."""
    decoded = [read_named_image(path) for path in images[:DISTINCT_IMAGES]]
    outcome = labeller.label(images[0])
    return {
        "decode": lambda i: read_named_image(images[i % len(images)]),
        "preprocess": lambda i: preprocess(decoded[i % len(decoded)], bundle.input),
        **_familiarity_stage(bundle, labeller, decoded),
        "sidecar": lambda i: _write(bundle, labeller, images[i % len(images)], outcome, output),
    }


def _familiarity_stage(
    bundle: Bundle, labeller: Labeller, decoded: list[NDArray[np.uint8]]
) -> dict[str, Stage]:
    """The statistics of a picture and the judgement; none without a reference of a laboratory."""
    check = labeller.familiarity
    if check is None:
        return {}
    batch = np.stack([preprocess(image, bundle.input) for image in decoded[:1]])
    inferred = labeller.session.infer(batch).row(0)
    predicted = int(inferred.logits.argmax())

    def judge(round_: int) -> object:
        statistics = picture_statistics(decoded[round_ % len(decoded)])
        return check.judge(statistics, inferred.features, predicted)

    return {"familiarity": judge}


def _infer(bundle: Bundle, labeller: Labeller, images: list[Path]) -> Stage:
    prepared = [
        preprocess(read_named_image(path), bundle.input)[np.newaxis]
        for path in images[:DISTINCT_IMAGES]
    ]
    return lambda i: labeller.session.infer(prepared[i % len(prepared)])


def _infer_batch(bundle: Bundle, labeller: Labeller, images: list[Path], size: int) -> Stage:
    rows = [
        preprocess(read_named_image(images[i % len(images)]), bundle.input) for i in range(size)
    ]
    batch = np.stack(rows)
    return lambda _: labeller.session.infer(batch)


def _end_to_end(bundle: Bundle, labeller: Labeller, images: list[Path], output: Path) -> Stage:
    def label_and_write(round_: int) -> None:
        path = images[round_ % len(images)]
        _write(bundle, labeller, path, labeller.label(path), output)

    return label_and_write


def _write(bundle: Bundle, labeller: Labeller, image: Path, outcome: Outcome, output: Path) -> None:
    model = model_facts(bundle, labeller.session)
    origin = Origin(printable_name(image))
    fields = sidecar_fields(outcome, origin, model, host="bench", created=now())
    write_sidecars(sidecar_files(output / image.name, fields, bundle.classes, FORMATS))
