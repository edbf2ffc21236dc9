"""Compares a quantized or FP16 model with the FP32 one on the same images, via the `Labeller`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.accuracy import statistics as metrics
from converters.accuracy.statistics import Estimate
from converters.accuracy.temperature import choose_temperature
from converters.accuracy.validation_size import THIN_CLASS_IMAGES
from converters.inputs.image_set import ImageSet
from edge.errors import ModelError
from edge.labeller import Labeller
from edge.postprocess import softmax
from edge.shares.share import Share
from edge.text.progress import OnCount

Logits = NDArray[np.float32]

# The two models of an `Evidence`.
FP32: Final = "fp32"
CANDIDATE: Final = "candidate"
# Their keys in edge-evidence/1, where the smaller model is `int8` whatever its precision is.
_KEYS: Final = {"fp32": FP32, "int8": CANDIDATE}


@dataclass(frozen=True, slots=True)
class Validation:
    """Validation images and their classes, as indices; -1 if the class is not known."""

    origin: str
    sha256: str
    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: NDArray[np.int64]

    @property
    def is_labelled(self) -> bool:
        """Whether every image has a class."""
        return bool((self.labels >= 0).all())

    def class_counts(self) -> dict[str, int]:
        """Number of images per class; empty if the images have no labels."""
        if not self.is_labelled:
            return {}
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(n) for name, n in zip(self.classes, counts, strict=True)}

    def thin_classes(self) -> dict[str, int]:
        """Classes with too few images for reliable figures, and their number of images."""
        return {name: n for name, n in self.class_counts().items() if n < THIN_CLASS_IMAGES}

    @classmethod
    def from_images(cls, images: ImageSet, classes: tuple[str, ...]) -> Validation:
        """The images of a set, their labels as indices into `classes`."""
        labels = [-1 if label is None else classes.index(label) for label, _ in images.files]
        paths = tuple(path for _, path in images.files)
        return cls(images.origin, images.sha256, classes, paths, np.asarray(labels, np.int64))


@dataclass(frozen=True, slots=True)
class Evidence:
    """FP32 against a smaller model: logits (images, classes) of both on the same images.

    What needs labels is None where the images have none.

    Attributes:
        candidate: of the smaller model, in INT8 or FP16.
        precision: of the smaller model, for messages.
    """

    validation: Validation
    fp32: Logits
    candidate: Logits
    precision: str

    @property
    def name(self) -> str:
        """The smaller model's name in messages."""
        return self.precision.upper()

    @property
    def agreement(self) -> Share:
        """Share of images that get the same class from both models."""
        same = self.fp32.argmax(1) == self.candidate.argmax(1)
        return Share(int(same.sum()), len(same))

    @property
    def divergence(self) -> Estimate:
        """Mean divergence of the quantized model's probabilities, in nats."""
        return metrics.bootstrap_mean(metrics.divergence(self.fp32, self.candidate))

    def accuracy(self, of: str, cell_class: int | None = None) -> Share | None:
        """Share of right labels, over all images or those of one class."""
        if not self.validation.is_labelled:
            return None
        labels = self.validation.labels
        chosen = labels >= 0 if cell_class is None else labels == cell_class
        right = self._right(of)[chosen]
        return Share(int(right.sum()), len(right))

    def drop_points(self, cell_class: int | None = None) -> float | None:
        """Percentage points of accuracy that the smaller model loses; negative for a gain."""
        fp32, candidate = self.accuracy(FP32, cell_class), self.accuracy(CANDIDATE, cell_class)
        return None if fp32 is None or candidate is None else 100 * (fp32.rate - candidate.rate)

    def lost_and_gained(self, cell_class: int) -> tuple[int, int]:
        """Numbers of a class's images that only FP32, and only the smaller model, labels right."""
        of_class = self.validation.labels == cell_class
        fp32, candidate = self._right(FP32) & of_class, self._right(CANDIDATE) & of_class
        return int((fp32 & ~candidate).sum()), int((candidate & ~fp32).sum())

    def balanced_drop_points(self) -> Estimate | None:
        """Percentage points of balanced accuracy that the smaller model loses."""
        if not self.validation.is_labelled:
            return None
        labels, fp32, candidate = self.validation.labels, self._right(FP32), self._right(CANDIDATE)

        def drop(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
            before = metrics.balanced_accuracy(labels[chosen], fp32[chosen])
            return 100 * (before - metrics.balanced_accuracy(labels[chosen], candidate[chosen]))

        return metrics.bootstrap(len(labels), drop)

    def balanced_accuracy(self, of: str) -> Estimate | None:
        """Mean recall over the classes."""
        if not self.validation.is_labelled:
            return None
        labels, right = self.validation.labels, self._right(of)
        return metrics.bootstrap(
            len(labels), lambda chosen: metrics.balanced_accuracy(labels[chosen], right[chosen])
        )

    def calibration_error(self, of: str) -> Estimate | None:
        """Expected calibration error without a temperature: how far confidence and accuracy differ.

        The gate compares networks, each of which gets its own temperature afterwards.
        """
        if not self.validation.is_labelled:
            return None
        confidence, right = softmax(self.logits(of)).max(1), self._right(of)
        return metrics.bootstrap(
            len(right), lambda chosen: metrics.calibration_error(confidence[chosen], right[chosen])
        )

    def worst_class(self, of: str) -> tuple[str, Share] | None:
        """The class with the lowest recall."""
        if not self.validation.is_labelled:
            return None
        shares = {
            name: share
            for index, name in enumerate(self.validation.classes)
            if (share := self.accuracy(of, index)) is not None and share.total
        }
        return min(shares.items(), key=lambda item: item[1].rate)

    def paired_p_value(self) -> float | None:
        """The p-value of McNemar's exact test that both models are right equally often."""
        if not self.validation.is_labelled:
            return None
        fp32, candidate = self._right(FP32), self._right(CANDIDATE)
        return metrics.mcnemar(int((fp32 & ~candidate).sum()), int((candidate & ~fp32).sum()))

    def logits(self, of: str) -> Logits:
        """Logits (images, classes) of one of the two models."""
        return self.fp32 if of == FP32 else self.candidate

    def _right(self, of: str) -> NDArray[np.bool_]:
        return np.asarray(self.logits(of).argmax(1) == self.validation.labels, np.bool_)


def label_all(labeller: Labeller, validation: Validation, on_image: OnCount) -> Logits:
    """Logits (images, classes) of all validation images, from the daemon's `Labeller`.

    Raises:
        ModelError: an image was rejected.
    """
    rows = []
    for position, path in enumerate(validation.paths, start=1):
        outcome = labeller.label(path)
        if outcome.logits is None:
            raise ModelError(f"{path} was rejected while comparing: {outcome.message}.")
        rows.append(outcome.logits)
        on_image(position, len(validation.paths))
    return np.stack(rows)


def evidence_fields(evidence: Evidence) -> dict[str, Any]:
    """One model's comparison with FP32 as JSON types."""
    fields: dict[str, Any] = {
        "agreement": evidence.agreement.to_dict(),
        "divergence": evidence.divergence.to_dict(),
        "disagreements": _disagreements(evidence),
    }
    if evidence.validation.is_labelled:
        fields |= _labelled_fields(evidence)
    return fields


def confusion_unidentified(
    validation: Validation, logits: Logits, unidentified_below: float, temperature: float = 1.0
) -> list[list[int]]:
    """Counts with a row per true class and a column per label; the last is of unidentified cells.

    Unlike `confusion` in `evidence_fields`, where a cell below the limit counts with its most
    probable class, it has what a sidecar says.

    Args:
        validation: images with labels.
        unidentified_below: the confidence limit of the model's card.
        temperature: of the graph.
    """
    count = len(validation.classes)
    probabilities = softmax(logits, temperature)
    is_identified = probabilities.max(1) >= unidentified_below
    labels = np.where(is_identified, probabilities.argmax(1), count)
    # A class is a row as well; nothing is truly of the class "unidentified".
    return metrics.confusion(validation.labels, labels, count + 1)[:-1]


def _labelled_fields(evidence: Evidence) -> dict[str, Any]:
    classes = evidence.validation.classes
    balanced_drop = evidence.balanced_drop_points()
    return {
        "accuracy": {key: _dict(evidence.accuracy(of)) for key, of in _KEYS.items()},
        "drop_points": round(evidence.drop_points() or 0.0, 4),
        "paired_p_value": evidence.paired_p_value(),
        "balanced_accuracy": {
            key: _dict(evidence.balanced_accuracy(of)) for key, of in _KEYS.items()
        },
        "balanced_drop_points": _dict(balanced_drop),
        "calibration_error": {
            key: _dict(evidence.calibration_error(of)) for key, of in _KEYS.items()
        },
        "worst_class": {
            key: (evidence.worst_class(of) or ("", None))[0] for key, of in _KEYS.items()
        },
        "per_class": {name: _class_fields(evidence, index) for index, name in enumerate(classes)},
        "confusion": {
            key: metrics.confusion(
                evidence.validation.labels, evidence.logits(of).argmax(1), len(classes)
            )
            for key, of in _KEYS.items()
        },
    }


def _class_fields(evidence: Evidence, cell_class: int) -> dict[str, Any]:
    lost, gained = evidence.lost_and_gained(cell_class)
    count = int((evidence.validation.labels == cell_class).sum())
    interval = metrics.paired_drop_interval(lost, gained, count)
    return {
        **{key: _dict(evidence.accuracy(of, cell_class)) for key, of in _KEYS.items()},
        "lost": lost,
        "gained": gained,
        "drop_interval_points": [round(limit, 4) for limit in interval],
        "chance_of_loss": round(metrics.chance_of_loss(lost, gained), 6),
    }


def _disagreements(evidence: Evidence) -> list[dict[str, Any]]:
    validation = evidence.validation
    fp32, candidate = (
        softmax(logits, choose_temperature(logits, validation.labels).value)
        for logits in (evidence.fp32, evidence.candidate)
    )
    return [
        {
            "file": validation.paths[i].name,
            "label": None if validation.labels[i] < 0 else validation.classes[validation.labels[i]],
            "fp32": validation.classes[fp32[i].argmax()],
            "int8": validation.classes[candidate[i].argmax()],
            "fp32_confidence": round(float(fp32[i].max()), 4),
            "int8_confidence": round(float(candidate[i].max()), 4),
        }
        for i in np.flatnonzero(evidence.fp32.argmax(1) != evidence.candidate.argmax(1))
    ]


def _dict(value: Share | Estimate | None) -> dict[str, float | int] | None:
    return None if value is None else dict(value.to_dict())
