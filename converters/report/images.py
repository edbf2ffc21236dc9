"""The images to which INT8 gives another label than FP32, as pictures a morphologist can judge."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from converters.report.figures.facts import Fields, was_gained, was_lost
from converters.report.figures.numbers import percent
from edge.text.counted import counted

# In the whole report: more are tiring to judge and make a file that mail refuses.
SHOWN_IMAGES: Final = 40
# 40 of them, a third larger in base64, stay below 2 MB. A cell at 128 pixels needs 5 kB.
MAX_THUMBNAIL_BYTES: Final = 32_000

Thumbnails = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Given:
    """The label that a model gives."""

    label: str
    confidence: str
    is_right: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One image. `jpeg` is base64, None where there is no picture; `label` None if not known."""

    file: str
    jpeg: str | None
    label: str | None
    fp32: Given
    int8: Given


@dataclass(frozen=True, slots=True)
class Disagreements:
    """The images with another label in INT8; `more` counts those without a card, if any."""

    summary: str
    cards: tuple[Card, ...]
    more: str


def share_out(counts: Iterable[int], limit: int = SHOWN_IMAGES) -> list[int]:
    """How many images each graph may show: the same for all, and what is left to the first."""
    wanted = list(counts)
    shown = [min(count, limit // len(wanted)) for count in wanted]
    for position, count in enumerate(wanted):
        shown[position] += min(count - shown[position], limit - sum(shown))
    return shown


def disagreements(graph: Fields, limit: int, thumbnails: Thumbnails) -> Disagreements:
    """Up to `limit` images, those that INT8 lost first; the rest counted."""
    found = graph["disagreements"]
    ordered = sorted(found, key=lambda image: (not was_lost(image), was_gained(image)))
    cards = tuple(_card(image, thumbnails) for image in ordered[:limit])
    left = len(found) - len(cards)
    verb = "is" if left == 1 else "are"
    more = f"{counted(left, 'more image')} {verb} listed in evidence.json only." if left else ""
    return Disagreements(_summary(found), cards, more)


def _summary(found: list[Fields]) -> str:
    if not found:
        return "None: INT8 gives every image the same label as FP32."
    text = f"{counted(len(found), 'image')} with another label in INT8"
    if any(image["label"] is None for image in found):
        return f"{text}; which of the two models is right is not known."
    lost, gained = sum(map(was_lost, found)), sum(map(was_gained, found))
    neither = len(found) - lost - gained
    return f"{text}: FP32 alone is right on {lost}, INT8 alone on {gained}, neither on {neither}."


def _card(image: Fields, thumbnails: Thumbnails) -> Card:
    return Card(
        file=image["file"],
        jpeg=encoded(thumbnails(image["file"])),
        label=image["label"],
        fp32=_given(image, "fp32"),
        int8=_given(image, "int8"),
    )


def encoded(jpeg: bytes | None) -> str | None:
    """A thumbnail as base64; None where there is none, or one too large for the report."""
    if jpeg is None or len(jpeg) > MAX_THUMBNAIL_BYTES:
        return None
    return base64.b64encode(jpeg).decode("ascii")


def _given(image: Fields, precision: str) -> Given:
    label = image[precision]
    is_right = image["label"] is not None and image["label"] == label
    return Given(label, percent(image[f"{precision}_confidence"]), is_right)
