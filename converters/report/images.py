"""The images to which INT8 gives another label than FP32, as pictures a morphologist can judge."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Final

from converters.report.facts import Fields, was_gained, was_lost
from converters.report.markup import EMPTY, Html, join, name_of, tag
from converters.report.numbers import percent
from edge.text.counted import counted

# In the whole report: more are tiring to judge and make a file that mail refuses.
SHOWN_IMAGES: Final = 40
# 40 of them, a third larger in base64, stay below 2 MB. A cell at 128 pixels needs 5 kB.
MAX_THUMBNAIL_BYTES: Final = 32_000

Thumbnails = Callable[[str], bytes | None]


def share_out(counts: Iterable[int], limit: int = SHOWN_IMAGES) -> list[int]:
    """How many images each graph may show: the same for all, and what is left to the first."""
    wanted = list(counts)
    shown = [min(count, limit // len(wanted)) for count in wanted]
    for position, count in enumerate(wanted):
        shown[position] += min(count - shown[position], limit - sum(shown))
    return shown


def disagreements(graph: Fields, limit: int, thumbnails: Thumbnails) -> Html:
    """Up to `limit` images, those that INT8 lost first; the rest counted."""
    found = graph["disagreements"]
    if not found:
        return tag("p", "None: INT8 gives every image the same label as FP32.")
    ordered = sorted(found, key=lambda image: (not was_lost(image), was_gained(image)))
    cards = [_card(image, thumbnails) for image in ordered[:limit]]
    left = len(found) - len(cards)
    verb = "is" if left == 1 else "are"
    more = f"{counted(left, 'more image')} {verb} listed in evidence.json only."
    return join(
        (
            tag("p", _summary(found)),
            tag("ul", *cards, class_="cards") if cards else EMPTY,
            tag("p", more) if left else EMPTY,
        )
    )


def _summary(found: list[Fields]) -> str:
    text = f"{counted(len(found), 'image')} with another label in INT8"
    if any(image["label"] is None for image in found):
        return f"{text}; which of the two models is right is not known."
    lost, gained = sum(map(was_lost, found)), sum(map(was_gained, found))
    neither = len(found) - lost - gained
    return f"{text}: FP32 alone is right on {lost}, INT8 alone on {gained}, neither on {neither}."


def _card(image: Fields, thumbnails: Thumbnails) -> Html:
    labels = tag(
        "dl",
        *_entry("True label", tag("span", _name(image["label"]))),
        *_entry("FP32", _given(image, "fp32")),
        *_entry("INT8", _given(image, "int8")),
    )
    file = tag("p", name_of(image["file"]), class_="file")
    return tag("li", _picture(image, thumbnails(image["file"])), tag("div", file, labels))


def _picture(image: Fields, jpeg: bytes | None) -> Html:
    if jpeg is None or len(jpeg) > MAX_THUMBNAIL_BYTES:
        return tag("div", "no picture", class_="no-picture")
    alt = f"Cell image {image['file']}, labelled {image['fp32']} by FP32, {image['int8']} by INT8"
    source = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
    return tag("img", src=source, alt=alt, width=112, height=112)


def _entry(name: str, value: Html) -> tuple[Html, Html]:
    return tag("dt", name), tag("dd", value)


def _given(image: Fields, precision: str) -> Html:
    label, confidence = image[precision], percent(image[f"{precision}_confidence"])
    right = image["label"] is not None and image["label"] == label
    sign = tag("span", "\N{CHECK MARK}", role="img", aria_label="right, ") if right else EMPTY
    parts = (sign, " ", name_of(label), " ", tag("small", confidence))
    return tag("span", *parts, class_="good" if right else None)


def _name(label: str | None) -> Html:
    return tag("span", "not known") if label is None else name_of(label)
