"""A measurement as a JSON document, from which table and page are made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import edge
from edge.bench.machine.conditions import Conditions
from edge.bench.machine.environment import Environment
from edge.bench.measure.task import Measured
from edge.bench.statistics.percentiles import Figure, Refused, images_per_second, percentile_of
from edge.bench.statistics.ratio import MEDIAN, RATE, ratio
from edge.bench.statistics.series import Series
from edge.bench.statistics.stability import unstable_because
from edge.bundle import Bundle
from edge.text.rfc3339 import rfc3339

JSON_SCHEMA: Final = "edge-bench/2"
PERCENTS: Final = (50.0, 90.0, 99.0, 99.9)
Reasons: TypeAlias = Mapping[str, tuple[str, ...]]
# What the others are compared with, the first that was measured.
_OURS: Final = ("int8", "fp16", "fp32")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a document says beside the series.

    Attributes:
        command: the words of the command line; of paths only their names are kept.
        are_own: whether the images were given; else they are drawn cells.
        against: an entry for each contender.
        energy_source: what counted the energy; None where nothing does.
    """

    command: Sequence[str]
    bundle: Bundle
    images: Sequence[Path]
    are_own: bool
    environment: Environment
    conditions: Conditions
    against: Sequence[dict[str, Any]] = ()
    energy_source: str | None = None
    notes: Sequence[str] = field(default=())


def document(measured: Measured, facts: Facts) -> dict[str, Any]:
    """The document: JSON types, schema `edge-bench/2`."""
    reasons = {one.id: unstable_because(one, facts.conditions) for one in measured.series}
    bundle = facts.bundle
    return {
        "schema": JSON_SCHEMA,
        "created": rfc3339(datetime.now(UTC).astimezone(), timespec="seconds"),
        "software": f"microscope-edge {edge.__version__}",
        "command": [_name_of(word) for word in facts.command],
        "bundle": {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256},
        "images": {
            "source": "own" if facts.are_own else "drawn cells",
            "count": len(facts.images),
            "sha256": _sha256(facts.images),
        },
        "environment": facts.environment.to_dict(),
        "conditions": facts.conditions.to_dict(),
        "series": [
            series_fields(one, reasons[one.id], measured.joules.get(one.id), facts.energy_source)
            for one in measured.series
        ],
        "ratios": list(_ratios(measured.series, reasons)),
        "against": list(facts.against),
        "notes": [*measured.notes, *facts.notes],
    }


def series_fields(
    series: Series,
    reasons: Sequence[str],
    joules: float | None = None,
    source: str | None = None,
) -> dict[str, Any]:
    """A series with its figures.

    Args:
        series: the samples.
        reasons: why it is unstable; none: it is stable.
        joules: what all its turns took; None where nothing counts them.
        source: of the joules.
    """
    images = len(series.durations_ns) * series.images_per_call
    energy = None
    if joules is not None and source:
        energy = {"joules_per_image": joules / images, "source": source}
    return {
        "id": series.id,
        "subject": series.subject,
        "level": series.level,
        "mode": series.mode,
        "images_per_call": series.images_per_call,
        "threads": series.threads,
        "workers": series.workers,
        "offered_per_second": series.offered_per_second,
        "warm_up": {
            "calls": series.warm_up.calls,
            "seconds": round(series.warm_up.seconds, 3),
            "stable": series.warm_up.is_stable,
        },
        "count": len(series.durations_ns),
        "window_ns": series.window_ns,
        "images_per_second": figure(images_per_second(series)),
        "percentiles_ms": {
            f"{percent:g}": figure(percentile_of(series, percent)) for percent in PERCENTS
        },
        "max_ms": float(series.durations_ns.max()) / 1e6,
        "unstable_because": list(reasons),
        "energy": energy,
        "durations_ns": series.durations_ns.tolist(),
        "starts_ns": series.starts_ns.tolist(),
        "turns": series.turns.tolist(),
        "stages_ns": {name: values.tolist() for name, values in series.stages_ns.items()},
    }


def figure(found: Figure) -> dict[str, Any]:
    """An estimate with its interval, or why there is none."""
    if isinstance(found, Refused):
        return {"refused": found.why}
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "confidence": found.confidence,
    }


def _ratios(series: Sequence[Series], reasons: Reasons) -> Iterator[dict[str, Any]]:
    """How many times as fast the reference of each group is as the others of it."""
    for group in _groups(series):
        reference = _reference(group)
        for other in group:
            if other is not reference:
                yield _ratio(reference, other, reasons)


def _ratio(reference: Series, other: Series, reasons: Reasons) -> dict[str, Any]:
    why = [*reasons[reference.id], *reasons[other.id]]
    if reference.mode == "offline":
        estimate, what = ratio(reference, other, reasons=why, what=RATE), RATE
        of, to = reference, other
    else:
        estimate, what = ratio(other, reference, reasons=why), MEDIAN
        of, to = other, reference
    return {"of": of.id, "to": to.id, "what": what, "estimate": figure(estimate)}


def _groups(series: Sequence[Series]) -> Iterator[list[Series]]:
    """Series of several subjects that can be compared."""
    groups: dict[tuple[object, ...], list[Series]] = {}
    has_daemon = any(one.level == "file" for one in series)
    for one in series:
        key = (one.level, one.mode, one.images_per_call, one.offered_per_second)
        groups.setdefault(("pass",) if has_daemon and _is_pass(one) else key, []).append(one)
    return (group for group in groups.values() if len({one.subject for one in group}) > 1)


def _is_pass(series: Series) -> bool:
    """Whether a sample is a pass over all images, beside the daemon also one of a loop."""
    return series.mode == "offline" and len(series.turns) == len(set(series.turns.tolist()))


def _reference(group: Sequence[Series]) -> Series:
    """Ours: INT8 before FP16 before FP32, the daemon before loops."""
    files = [one for one in group if one.level == "file"]
    ranked = sorted(
        files or group,
        key=lambda one: _OURS.index(one.subject) if one.subject in _OURS else len(_OURS),
    )
    return ranked[0]


def _sha256(images: Sequence[Path]) -> str:
    """Of the hashes of all images in their order: equal for equal images, whatever their names."""
    digest = hashlib.sha256()
    for path in images:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _name_of(word: str) -> str:
    option, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{sign}{Path(value).name if '/' in value else value}"
