"""Image: from a file's bytes on the disk to its label, by the daemon's own `Labeller`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from edge.bench.levels.pictures import Pictures
from edge.bench.measure.task import Stages, Task
from edge.bundle import Bundle
from edge.errors import TransientError
from edge.labeller import Labeller, Outcome
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

# What the labeller gave, and the nanoseconds of writing sidecars beside that call.
_Returned: TypeAlias = tuple[list[Outcome], int]


class ImageRun:
    """Labels the next images; before each call it writes sidecars, which is a stage of its own.

    The level ends with the label. The stage is measured all the same, so that all steps of an image
    can be seen side by side.
    """

    def __init__(
        self, bundle: Bundle, labeller: Labeller, pictures: Pictures, batch: int, output: Path
    ) -> None:
        """Label once, for the content of the sidecars.

        Args:
            output: an empty folder on the disk whose speed is to be measured.
        """
        self._bundle, self._labeller = bundle, labeller
        self._pictures, self._batch, self._output = pictures, batch, output
        self._model = model_facts(bundle, labeller.session)
        self._outcome = labeller.label(pictures.path(0))
        self._writing_ns = 0

    def prepare(self, number: int) -> None:
        """Write durable JSON and CSV sidecars of the images of a request."""
        files: list[tuple[Path, bytes]] = []
        before_ns = time.perf_counter_ns()
        for path in self._paths(number):
            fields = sidecar_fields(
                self._outcome,
                Origin(printable_name(path)),
                self._model,
                host="bench",
                created=now(),
            )
            files += sidecar_files(self._output / path.name, fields, self._bundle.classes, FORMATS)
        write_sidecars(files)
        self._writing_ns = time.perf_counter_ns() - before_ns

    def run(self, number: int) -> _Returned:
        """Label the images of a request."""
        return label(self._labeller, self._paths(number)), self._writing_ns

    def _paths(self, number: int) -> list[Path]:
        first = number * self._batch
        return [self._pictures.path(first + i) for i in range(self._batch)]

    @staticmethod
    def stages(returned: _Returned, duration_ns: int) -> Stages:
        """Nanoseconds of one call's stages."""
        outcomes, writing_ns = returned
        sidecar = {"sidecar": writing_ns} if writing_ns else {}
        return {**label_stages(outcomes, duration_ns), **sidecar}


def image_task(
    bundle: Bundle,
    labeller: Labeller,
    pictures: Pictures,
    batch: int,
    threads: int,
    output: Path | None,
) -> Task:
    """A task that labels the next images.

    Args:
        output: where sidecars are written between the calls; None: none are written.
    """
    if output is not None:
        run = ImageRun(bundle, labeller, pictures, batch, output)
        return Task(
            labeller.session.precision,
            "image",
            run.run,
            stages=run.stages,
            prepare=run.prepare,
            images_per_call=batch,
            threads=threads,
        )
    return Task(
        labeller.session.precision,
        "image",
        lambda number: label(labeller, [pictures.path(number * batch + i) for i in range(batch)]),
        stages=label_stages,
        images_per_call=batch,
        threads=threads,
    )


def label(labeller: Labeller, paths: Sequence[Path]) -> list[Outcome]:
    """The outcomes of images that can be read.

    Raises:
        TransientError: one of them cannot be read now.
    """
    outcomes: list[Outcome] = []
    for outcome in labeller.label_batch(paths):
        if isinstance(outcome, TransientError):
            raise outcome
        outcomes.append(outcome)
    return outcomes


def label_stages(outcomes: Sequence[Outcome], duration_ns: int) -> Stages:
    """Nanoseconds of decoding, preprocessing and inference, and of what is left, the decision."""
    timings = [outcome.timing_ms for outcome in outcomes]
    stages = {
        "decode": round(sum(one.decode for one in timings) * 1e6),
        "preprocess": round(sum(one.preprocess for one in timings) * 1e6),
        "infer": round(sum(one.infer for one in timings) * 1e6),
    }
    return {**stages, "decide": max(0, duration_ns - sum(stages.values()))}
