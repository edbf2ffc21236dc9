"""What the reference of the laboratory was learned from, and what it notices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from converters.report.accuracy import with_interval
from converters.report.figures.facts import Fields
from converters.report.figures.numbers import Noted, count, number
from converters.report.images import Thumbnails, encoded

# What a reader calls each reason of `edge.trust.unfamiliar`.
_REASONS = {
    "blurred": "blurred",
    "off_centre": "off centre",
    "no_nucleus": "no nucleus",
    "stain": "another stain",
    "too_dark": "too dark",
    "too_bright": "too bright",
    "too_small": "too small",
    "too_large": "too large",
}


@dataclass(frozen=True, slots=True)
class FaultRow:
    """A simulated fault: how often it was noticed, and of these how often it was named."""

    name: str
    what: str
    noticed: Noted
    named: Noted


@dataclass(frozen=True, slots=True)
class Strange:
    """One of the laboratory's strangest images. `jpeg` is base64; None where there is none."""

    file: str
    jpeg: str | None
    score: str


@dataclass(frozen=True, slots=True)
class Laboratory:
    """The section. `absent` says why there is no reference; all else is then empty."""

    absent: str
    facts: tuple[tuple[str, Noted], ...]
    faults: tuple[FaultRow, ...]
    strangest: tuple[Strange, ...]


def laboratory(evidence: Fields, thumbnails: Thumbnails) -> Laboratory | None:
    """What is known of the reference; None in evidence from before there were references.

    Args:
        thumbnails: a small JPEG of an image of the laboratory by its file name.
    """
    found = evidence.get("laboratory")
    if found is None:
        return None
    if absent := found.get("absent"):
        return Laboratory(absent, (), (), ())
    return Laboratory(
        absent="",
        facts=tuple(_facts(found)),
        faults=tuple(map(_fault, found["faults"])),
        strangest=tuple(
            Strange(one["file"], encoded(thumbnails(one["file"])), number(one["score"]))
            for one in found["strangest"]
        ),
    )


def laboratory_warnings(evidence: Fields) -> Iterator[str]:
    """What the reference does not do for this bundle."""
    found = evidence.get("laboratory")
    if found is None:
        return
    if absent := found.get("absent"):
        yield (
            f"The bundle has no reference of the laboratory: {absent}. Images of another "
            "laboratory or instrument, and images without a cell, get a label like all others."
        )
    elif found["features"] is None:
        yield (
            "The network's features were not found. The reference has the statistics of the "
            "pictures alone, and notices less of another laboratory with the same instrument."
        )


def _facts(found: Fields) -> Iterator[tuple[str, Noted]]:
    yield "Learned from", Noted(f"{count(found['images'])} images", f"of {found['origin']}")
    if found["features"] is None:
        yield "Features of the network", Noted("not found", "statistics of the pictures alone")
    else:
        kept = f"{count(found['components'])} components"
        yield "Features of the network", Noted(f"{count(found['features'])}", kept)
    for file, limit in found["limits"].items():
        yield f"Limit of the score, {file}", Noted(number(limit))
    yield "Images of the laboratory beyond the limit", with_interval(found["flagged"])


def _fault(fault: Fields) -> FaultRow:
    reason, named = str(fault["reason"]), fault["named"]
    return FaultRow(
        name=_REASONS.get(reason, reason),
        what=fault["text"],
        noticed=with_interval(fault["noticed"]),
        named=with_interval(named) if named["total"] else Noted(""),
    )
