"""Is the INT8 model as good as the FP32 one? Both label the same images as the daemon would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.image_set import ImageSet
from edge.errors import AccuracyGateError, ModelError
from edge.intervals import Share
from edge.labeller import Labeller

_ADVICE = (
    "Nothing was written. Calibrate on more images like those of the analyzer, or convert "
    "without --int8."
)


@dataclass(frozen=True, slots=True)
class Gate:
    """What the INT8 model may lose: percentage points of accuracy, share of equal labels."""

    max_drop_points: float = 0.5
    min_agreement: float = 0.99


@dataclass(frozen=True, slots=True)
class ComparedImage:
    """One validation image with the logits (classes,) of both models."""

    path: Path
    label: str | None
    fp32: NDArray[np.float32]
    int8: NDArray[np.float32]

    @property
    def agrees(self) -> bool:
        """Whether both models prefer the same class."""
        return bool(self.fp32.argmax() == self.int8.argmax())


@dataclass(frozen=True, slots=True)
class Evidence:
    """FP32 against INT8 on one image set; accuracies are None where it has no labels."""

    origin: str
    images_sha256: str
    classes: tuple[str, ...]
    images: tuple[ComparedImage, ...]

    @property
    def agreement(self) -> Share:
        """Share of images to which both models give the same class."""
        return Share(sum(image.agrees for image in self.images), len(self.images))

    @property
    def fp32(self) -> Share | None:
        """Accuracy of the FP32 model."""
        return self.accuracy("fp32")

    @property
    def int8(self) -> Share | None:
        """Accuracy of the INT8 model."""
        return self.accuracy("int8")

    @property
    def drop_points(self) -> float | None:
        """Percentage points of accuracy that INT8 loses; negative where it gains."""
        if self.fp32 is None or self.int8 is None:
            return None
        return 100 * (self.fp32.rate - self.int8.rate)

    def accuracy(self, precision: str, cell_class: str | None = None) -> Share | None:
        """Share of right labels, over all images or those of one class."""
        labelled = [i for i in self.images if i.label is not None]
        if not labelled:
            return None
        chosen = [i for i in labelled if cell_class in (None, i.label)]
        logits = [i.fp32 if precision == "fp32" else i.int8 for i in chosen]
        right = sum(
            self.classes[row.argmax()] == image.label
            for row, image in zip(logits, chosen, strict=True)
        )
        return Share(right, len(chosen))

    def to_dict(self) -> dict[str, Any]:
        """The manifest's evidence block."""
        per_class = {
            name: {p: _share_dict(self.accuracy(p, name)) for p in ("fp32", "int8")}
            for name in self.classes
        }
        return {
            "origin": self.origin,
            "images": len(self.images),
            "images_sha256": self.images_sha256,
            "fp32_accuracy": _share_dict(self.fp32),
            "int8_accuracy": _share_dict(self.int8),
            "drop_points": None if self.drop_points is None else round(self.drop_points, 4),
            "agreement": self.agreement.to_dict(),
            "per_class": per_class if self.fp32 is not None else None,
            "disagreements": [self._disagreement(i) for i in self.images if not i.agrees],
        }

    def _disagreement(self, image: ComparedImage) -> dict[str, str | None]:
        return {
            "file": image.path.name,
            "label": image.label,
            "fp32": self.classes[image.fp32.argmax()],
            "int8": self.classes[image.int8.argmax()],
        }


def compare(
    fp32: Labeller,
    int8: Labeller,
    images: ImageSet,
    classes: tuple[str, ...],
    on_image: Callable[[int, int], None],
) -> Evidence:
    """Label every image with both models through the daemon's own function."""
    compared = []
    for position, (label, path) in enumerate(images.files):
        compared.append(ComparedImage(path, label, _logits(fp32, path), _logits(int8, path)))
        on_image(position + 1, len(images.files))
    return Evidence(images.origin, images.sha256, classes, tuple(compared))


def check_gate(evidence: Evidence, gate: Gate) -> None:
    """Refuse an INT8 model that lost too much.

    Raises:
        AccuracyGateError: which limit was missed and by how much.
    """
    drop = evidence.drop_points
    if drop is not None and drop > gate.max_drop_points:
        raise AccuracyGateError(
            f"INT8 loses {drop:.2f} points of accuracy on {evidence.origin} (FP32 {evidence.fp32}, "
            f"INT8 {evidence.int8}), at most {gate.max_drop_points} are allowed. {_ADVICE}"
        )
    if evidence.agreement.rate < gate.min_agreement:
        raise AccuracyGateError(
            f"INT8 and FP32 agree on {evidence.agreement} of {evidence.origin}, at least "
            f"{gate.min_agreement:.1%} is needed. {_ADVICE}"
        )


def _logits(labeller: Labeller, path: Path) -> NDArray[np.float32]:
    outcome = labeller.label(path)
    if outcome.logits is None:
        raise ModelError(f"{path} was rejected while comparing: {outcome.message}.")
    return outcome.logits


def _share_dict(share: Share | None) -> dict[str, float | int] | None:
    return None if share is None else share.to_dict()
