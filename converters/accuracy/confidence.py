"""How far a graph's confidence can be relied on, and what leaving out unsure cells brings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.accuracy import statistics as metrics
from converters.accuracy.statistics import CALIBRATION_BINS, Estimate, Floats
from converters.accuracy.temperature import Temperature, choose_temperature
from edge.postprocess import softmax
from edge.shares.share import Share

Right = NDArray[np.bool_]

# Shares of right labels for which the report says how many cells reach them.
TARGETS: Final = (0.99, 0.995)
# Points of the curve of accuracy against coverage.
_CURVE_POINTS: Final = 40
# A class's confidence is doubted at this probability, divided by the number of classes.
_DOUBT: Final = 0.05


@dataclass(frozen=True, slots=True)
class Bin:
    """Images of about the same confidence: its mean, and how many are labelled right."""

    confidence: float
    right: Share


@dataclass(frozen=True, slots=True)
class Kept:
    """The images whose confidence reaches `limit`: how many of all, and how many are right."""

    limit: float
    coverage: Share
    right: Share


@dataclass(frozen=True, slots=True)
class Doubt:
    """A label whose confidence is not right, beyond chance.

    Attributes:
        confidence: its mean over the images that got this label.
        right: of them, those that truly are of the class.
        p_value: the chance of so large a difference, were the confidence right.
    """

    label: str
    confidence: float
    right: Share
    p_value: float


@dataclass(frozen=True, slots=True)
class Confidence:
    """One graph's confidence on labelled validation images.

    `before` and `after` are calibration errors without and with the temperature. `after`, `bins`
    and `doubts` use for each image the temperature that was fitted without its fold. The others use
    the one of the manifest, as the service does.
    """

    temperature: Temperature
    before: Estimate
    after: Estimate
    bins_before: tuple[Bin, ...]
    bins: tuple[Bin, ...]
    doubts: tuple[Doubt, ...]
    at_limit: Kept
    curve: tuple[Kept, ...]
    reached: dict[float, Kept | None]

    def to_dict(self) -> dict[str, Any]:
        """JSON types, for the evidence."""
        return {
            "temperature": self.temperature.value,
            "not_fitted": self.temperature.reason,
            "calibration_error": {"before": self.before.to_dict(), "after": self.after.to_dict()},
            "bins": {
                "before": [_bin_fields(one) for one in self.bins_before],
                "after": [_bin_fields(one) for one in self.bins],
            },
            "doubts": [
                {
                    "label": doubt.label,
                    "confidence": round(doubt.confidence, 6),
                    "right": doubt.right.to_dict(),
                    "p_value": float(f"{doubt.p_value:.3g}"),
                }
                for doubt in self.doubts
            ],
            "at_limit": _kept_fields(self.at_limit),
            "curve": [_kept_fields(kept) for kept in self.curve],
            "reached": [
                {"accuracy": target, "kept": kept and _kept_fields(kept)}
                for target, kept in self.reached.items()
            ],
        }


def judge_confidence(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    unidentified_below: float,
) -> Confidence:
    """Fit a graph's temperature and judge its confidence.

    Args:
        logits: of labelled images, shape (n, classes).
        labels: indices of their classes, shape (n,).
        unidentified_below: the confidence limit of the model's card.
    """
    temperature = choose_temperature(logits, labels)
    given = logits.argmax(1)
    right = np.asarray(given == labels, np.bool_)
    raw = softmax(logits).max(1)
    held_out = softmax(logits, temperature.held_out[:, np.newaxis]).max(1)
    shipped = softmax(logits, temperature.value).max(1)
    return Confidence(
        temperature=temperature,
        before=_calibration_error(raw, right),
        after=_calibration_error(held_out, right),
        bins_before=_bins(raw, right),
        bins=_bins(held_out, right),
        doubts=_doubts(given, held_out, right, classes),
        at_limit=_kept(shipped, right, unidentified_below),
        curve=_curve(shipped, right),
        reached={target: _reached(shipped, right, target) for target in TARGETS},
    )


def _calibration_error(confidence: Floats, right: Right) -> Estimate:
    return metrics.bootstrap(
        len(right), lambda chosen: metrics.calibration_error(confidence[chosen], right[chosen])
    )


def _bins(confidence: Floats, right: Right) -> tuple[Bin, ...]:
    """Bins of equally many images, the least sure first, as in the calibration error."""
    order = np.argsort(confidence, kind="stable")
    return tuple(
        Bin(float(confidence[part].mean()), Share(int(right[part].sum()), len(part)))
        for part in np.array_split(order, min(CALIBRATION_BINS, len(order)))
    )


def _doubts(
    given: NDArray[np.int64], confidence: Floats, right: Right, classes: tuple[str, ...]
) -> tuple[Doubt, ...]:
    found = []
    for index, name in enumerate(classes):
        chosen = given == index
        if not chosen.any():
            continue
        p_value = chance_of_errors(confidence[chosen], int((~right[chosen]).sum()))
        if p_value < _DOUBT / len(classes):
            share = Share(int(right[chosen].sum()), int(chosen.sum()))
            found.append(Doubt(name, float(confidence[chosen].mean()), share, p_value))
    return tuple(found)


def chance_of_errors(confidence: Floats, wrong: int) -> float:
    """Two-sided exact chance of a number of wrong labels as far from the expected one.

    Args:
        confidence: of the labels (n,); each is taken for the chance that its label is right.
        wrong: how many labels are wrong.
    """
    # chances[k] is that of k wrong labels among the images so far; more are not needed.
    chances = np.zeros(wrong + 1)
    chances[0] = 1.0
    for sure in confidence:
        chances[1:] = sure * chances[1:] + (1 - sure) * chances[:-1]
        chances[0] *= sure
    at_most = float(chances.sum())
    at_least = 1 - at_most + float(chances[-1])
    return max(0.0, min(1.0, 2 * min(at_most, at_least)))


def _kept(confidence: Floats, right: Right, limit: float) -> Kept:
    chosen = confidence >= limit
    count = int(chosen.sum())
    return Kept(limit, Share(count, len(right)), Share(int(right[chosen].sum()), count))


def _limits(confidence: Floats, counts: NDArray[np.int64]) -> Floats:
    """The confidences of the images that are the last ones kept, each once, the highest first."""
    ordered = np.sort(confidence)[::-1]
    return np.unique(ordered[counts - 1])[::-1]


def _curve(confidence: Floats, right: Right) -> tuple[Kept, ...]:
    """From few images, the surest, to all."""
    counts = np.unique(np.linspace(0, len(right), _CURVE_POINTS + 1).round().astype(np.int64)[1:])
    limits = _limits(confidence, counts[counts > 0])
    return tuple(_kept(confidence, right, float(limit)) for limit in limits)


def _reached(confidence: Floats, right: Right, target: float) -> Kept | None:
    """The most images that can be kept with this share of right labels; None if it is not reached.

    At least as many must be kept as make one error cost more than the target allows: a few sure
    images without an error show nothing.
    """
    order = np.argsort(-confidence, kind="stable")
    counts = np.arange(1, len(order) + 1)
    shares = np.cumsum(right[order]) / counts
    # Images of one confidence are kept together.
    is_last = np.append(np.diff(confidence[order]) != 0, True)
    enough = np.flatnonzero((shares >= target) & is_last & (counts * (1 - target) >= 1 - 1e-9))
    if not len(enough):
        return None
    return _kept(confidence, right, float(confidence[order[enough[-1]]]))


def _bin_fields(one: Bin) -> dict[str, Any]:
    return {"confidence": round(one.confidence, 6), "right": one.right.to_dict()}


def _kept_fields(kept: Kept) -> dict[str, Any]:
    return {
        "limit": round(kept.limit, 6),
        "coverage": kept.coverage.to_dict(),
        "right": kept.right.to_dict(),
    }
