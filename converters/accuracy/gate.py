"""The accuracy gate: how much an INT8 or FP16 model may lose, and whether it lost more."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from converters.accuracy import statistics as metrics
from converters.accuracy.comparison import CANDIDATE, FP32, Evidence
from edge.errors import ConfigError
from edge.files.known_keys import require_known_keys
from edge.files.yaml_file import read_yaml


@dataclass(frozen=True, slots=True)
class Gate:
    """The limits. Those that need labels are skipped if the validation images have none.

    Attributes:
        max_drop_points: percentage points of accuracy.
        max_balanced_drop_points: percentage points of the mean recall over the classes.
        max_class_drop_points: percentage points of one class's recall. Applies only if the class
            loses two or more images: in a class of twenty, one image is already five points.
        min_class_chance: smallest accepted probability that an equally good model loses as many
            images of a class. Not corrected for the number of classes: a needless float layer
            costs a little time, a lost class costs diagnoses.
        min_agreement: share of images with the same label as in FP32.
        max_divergence: mean Kullback-Leibler divergence in nats.
        max_calibration_error_rise: rise of the expected calibration error.
    """

    max_drop_points: float = 0.5
    max_balanced_drop_points: float = 1.0
    max_class_drop_points: float = 5.0
    min_class_chance: float = 0.05
    min_agreement: float = 0.99
    max_divergence: float = 0.05
    max_calibration_error_rise: float = 0.03

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise ConfigError(f"gate {name} is {value!r}; give a number of 0 or more.")
        for name in ("min_agreement", "min_class_chance"):
            if getattr(self, name) > 1:
                raise ConfigError(f"gate {name} is {getattr(self, name)}; give a share up to 1.")


@dataclass(frozen=True, slots=True)
class Check:
    """One limit of the gate, the value that was found, and whether it is within the limit."""

    name: str
    found: float
    limit: float
    holds: bool
    text: str


def read_gate(path: Path) -> dict[str, float]:
    """Limits of a YAML file, by the names of `Gate`'s attributes.

    Raises:
        ConfigError: unreadable, or an unknown key.
    """
    values = read_yaml(path)
    known = [field.name for field in fields(Gate)]
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path} has no limits of the accuracy gate; it may have {', '.join(known)}."
        )
    require_known_keys(str(path), values, known)
    return values


def judge(evidence: Evidence, gate: Gate) -> list[Check]:
    """Every limit that can be checked on these images."""
    agreement, divergence = evidence.agreement, evidence.divergence.value
    checks = [
        Check(
            "agreement",
            agreement.rate,
            gate.min_agreement,
            agreement.rate >= gate.min_agreement,
            f"{evidence.name} and FP32 agree on {agreement}, at least {gate.min_agreement:.1%} "
            "is needed",
        ),
        Check(
            "divergence",
            divergence,
            gate.max_divergence,
            divergence <= gate.max_divergence,
            f"the probabilities diverge by {divergence:.4f} nats, at most {gate.max_divergence} "
            "are allowed",
        ),
    ]
    return [*_judge_labelled(evidence, gate), *checks]


def missed_limits(checks: list[Check]) -> list[Check]:
    """The limits that were missed."""
    return [check for check in checks if not check.holds]


def check_fields(checks: list[Check]) -> list[dict[str, Any]]:
    """The verdict as JSON types."""
    return [{**asdict(check), "found": round(check.found, 6)} for check in checks]


def _judge_labelled(evidence: Evidence, gate: Gate) -> list[Check]:
    drop, balanced = evidence.drop_points(), evidence.balanced_drop_points()
    if drop is None or balanced is None:
        return []
    rise = _calibration_error_rise(evidence)

    def at_most(name: str, found: float, limit: float, unit: str) -> Check:
        text = f"{evidence.name} loses {found:.2f} {unit}, at most {limit} are allowed"
        # The tolerance keeps rounding errors from refusing a drop of exactly the limit.
        return Check(name, found, limit, found <= limit + 1e-9, text)

    return [
        at_most("accuracy drop", drop, gate.max_drop_points, "points of accuracy"),
        at_most(
            "balanced accuracy drop",
            balanced.value,
            gate.max_balanced_drop_points,
            "points of balanced accuracy",
        ),
        _worst_class_drop(evidence, gate),
        _least_likely_loss(evidence, gate),
        at_most("calibration error rise", rise, gate.max_calibration_error_rise, "of calibration"),
    ]


def _no_class(evidence: Evidence) -> str:
    return f"{evidence.name} loses at most one image of each class"


def _worst_class_drop(evidence: Evidence, gate: Gate) -> Check:
    worst, name, lost = 0.0, "no class", 0
    for index, class_name in enumerate(evidence.validation.classes):
        fp32, found = evidence.accuracy(FP32, index), evidence.accuracy(CANDIDATE, index)
        drop = evidence.drop_points(index) or 0.0
        if fp32 and found and fp32.count - found.count >= 2 and drop > worst:
            worst, name, lost = drop, class_name, fp32.count - found.count
    limit = gate.max_class_drop_points
    text = (
        f"{evidence.name} loses {lost} images of {name}, {worst:.1f} points of its recall, at most "
        f"{limit} are allowed"
        if lost
        else _no_class(evidence)
    )
    return Check("class recall drop", worst, limit, worst <= limit + 1e-9, text)


def _least_likely_loss(evidence: Evidence, gate: Gate) -> Check:
    chances = {
        (metrics.chance_of_loss(lost, gained), name, lost, gained)
        for index, name in enumerate(evidence.validation.classes)
        for lost, gained in [evidence.lost_and_gained(index)]
        if lost - gained >= 2
    }
    limit = gate.min_class_chance
    if not chances:
        return Check("class loss", 1.0, limit, holds=True, text=_no_class(evidence))
    chance, name, lost, gained = min(chances)
    text = (
        f"{evidence.name} loses {lost} images of {name} and gains {gained}; an equal model does "
        f"so with a probability of {chance:.3f}, at least {limit} is needed"
    )
    return Check("class loss", chance, limit, chance >= limit, text)


def _calibration_error_rise(evidence: Evidence) -> float:
    before = evidence.calibration_error(FP32)
    after = evidence.calibration_error(CANDIDATE)
    return 0.0 if before is None or after is None else after.value - before.value
