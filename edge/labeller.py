"""Labels images: read, decode, preprocess, infer, decide.

The daemon, the benchmark and the converter's accuracy check all call `Labeller`, so the code that
was measured is the code that runs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import ImageError, RejectReason, TransientError
from edge.failpoints import failpoint
from edge.image_files.limits import ImageLimits
from edge.image_files.read import ImageFile, decode_image, modified_time, read_file
from edge.postprocess import Decision, decide
from edge.preprocess import InputSpec, preprocess
from edge.session import InferenceSession, Inferred
from edge.status import Status
from edge.trust.familiarity import Familiarity, FamiliarityCheck
from edge.trust.statistics import picture_statistics


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Facts about the image file; None where it could not be read or decoded."""

    sha256: str | None = None
    size_bytes: int | None = None
    width_px: int | None = None
    height_px: int | None = None
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds per step. In a batch `infer` is the batch's time divided by its images.

    `preprocess` includes the statistics of the picture.
    """

    decode: float = 0.0
    preprocess: float = 0.0
    infer: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one image. Rejected images have no decision, but a reason and a message."""

    status: Status
    image: ImageFacts
    timing_ms: Timing
    decision: Decision | None = None
    logits: NDArray[np.float32] | None = None
    reason: RejectReason | None = None
    message: str | None = None
    familiarity: Familiarity | None = None


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image ready for the network: uint8 (height, width, 3), and facts about its file.

    `statistics` are those of the whole picture; None where familiarity is not judged.
    """

    pixels: NDArray[np.uint8]
    statistics: NDArray[np.float32] | None
    facts: ImageFacts
    decode_ms: float
    preprocess_ms: float


class Labeller:
    """Labels images with one opened session. Safe to call from several threads."""

    def __init__(
        self,
        session: InferenceSession,
        *,
        classes: tuple[str, ...],
        spec: InputSpec,
        unidentified_below: float,
        limits: ImageLimits | None = None,
        temperature: float = 1.0,
        familiarity: FamiliarityCheck | None = None,
    ) -> None:
        """Label with `session`.

        Args:
            temperature: of the session's graph; `unidentified_below` is a confidence after it.
            familiarity: judges whether an image is of the laboratory; None where the bundle has
                no reference.
        """
        self.session = session
        self._classes = classes
        self._spec = spec
        self._unidentified_below = unidentified_below
        self._limits = limits or ImageLimits()
        self._temperature = temperature
        self.familiarity = familiarity

    def label(self, image: Path | ImageFile) -> Outcome:
        """Label one image. If that is impossible for good, the outcome is `rejected`.

        Raises:
            TransientError: the file could not be read now; a later try may succeed.
            BackendError: the device failed; the image has no outcome yet.
        """
        (outcome,) = self.label_batch([image])
        if isinstance(outcome, TransientError):
            raise outcome
        return outcome

    def label_batch(self, images: Sequence[Path | ImageFile]) -> list[Outcome | TransientError]:
        """Label images, given by path or content, in as few inferences as `max_batch` allows.

        Results are in the order of `images`. For a file that could not be read at the moment,
        its TransientError is returned, not raised, so the other images still get their outcomes.

        Raises:
            BackendError: the device failed; no image of the batch has an outcome.
        """
        prepared = [self._prepare(image) for image in images]
        ready = [image for image in prepared if isinstance(image, PreparedImage)]
        labelled = iter(self._infer(ready))
        return [next(labelled) if isinstance(p, PreparedImage) else p for p in prepared]

    def _prepare(self, image: Path | ImageFile) -> PreparedImage | Outcome | TransientError:
        start = time.perf_counter()
        facts = ImageFacts()
        try:
            file = image if isinstance(image, ImageFile) else read_file(image, self._limits)
            facts = ImageFacts(file.sha256, len(file.content), modified=file.modified)
            failpoint("image.decode")
            pixels = decode_image(file.content, self._limits)
            failpoint("image.decoded")
        except ImageError as error:
            if isinstance(image, Path) and not facts.sha256:
                facts = _facts_of_unread(image)
            timing = Timing(decode=_ms_since(start), total=_ms_since(start))
            return rejected(error.reason, str(error), facts, timing)
        except TransientError as error:
            return error
        decoded = time.perf_counter()
        height, width = pixels.shape[:2]
        facts = ImageFacts(facts.sha256, facts.size_bytes, width, height, facts.modified)
        small = preprocess(pixels, self._spec)
        statistics = picture_statistics(pixels) if self.familiarity else None
        failpoint("image.preprocessed")
        return PreparedImage(small, statistics, facts, (decoded - start) * 1e3, _ms_since(decoded))

    def _infer(self, images: list[PreparedImage]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for first in range(0, len(images), self.session.max_batch):
            chunk = images[first : first + self.session.max_batch]
            start = time.perf_counter()
            failpoint("infer.before")
            inferred = self.session.infer(np.stack([image.pixels for image in chunk]))
            failpoint("infer.after")
            infer_ms = _ms_since(start) / len(chunk)
            outcomes += [
                self._outcome(image, inferred.row(number), infer_ms)
                for number, image in enumerate(chunk)
            ]
        return outcomes

    def _outcome(self, image: PreparedImage, inferred: Inferred, infer_ms: float) -> Outcome:
        """The outcome of one image, from its row of what the network computed."""
        logits = inferred.logits
        decision = decide(
            logits, self._classes, self._unidentified_below, temperature=self._temperature
        )
        familiarity = self._judge(image, inferred)
        is_labelled = decision.is_identified and self._allows_label(familiarity)
        total_ms = image.decode_ms + image.preprocess_ms + infer_ms
        return Outcome(
            status=Status.LABELLED if is_labelled else Status.UNIDENTIFIED,
            image=image.facts,
            timing_ms=Timing(image.decode_ms, image.preprocess_ms, infer_ms, total_ms),
            decision=decision,
            logits=logits,
            familiarity=familiarity,
        )

    def _allows_label(self, familiarity: Familiarity | None) -> bool:
        is_strange = familiarity is not None and not familiarity.passes
        return not is_strange or (self.familiarity is not None and self.familiarity.keeps_label)

    def _judge(self, image: PreparedImage, inferred: Inferred) -> Familiarity | None:
        if self.familiarity is None or image.statistics is None:
            return None
        predicted = int(inferred.logits.argmax())
        return self.familiarity.judge(image.statistics, inferred.features, predicted)


def rejected(
    reason: RejectReason, message: str, facts: ImageFacts, timing: Timing | None = None
) -> Outcome:
    """The outcome of an image that cannot be labelled."""
    return Outcome(Status.REJECTED, facts, timing or Timing(), reason=reason, message=message)


def _facts_of_unread(path: Path) -> ImageFacts:
    """Size and time of a file that was not read; empty if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return ImageFacts()
    return ImageFacts(size_bytes=status.st_size, modified=modified_time(status.st_mtime_ns))


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
