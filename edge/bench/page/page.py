"""The page of a measurement, from its document: complete in itself and readable for years."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any
from xml.etree.ElementTree import Element

from edge.bench.page.elements.html import listed, tag, whole_page
from edge.bench.page.header import header, machine, title_of
from edge.bench.page.sections import drawn_sections, setting_sections
from edge.bench.page.tables import ratio_tiles, series_table, side_by_side
from edge.bench.reading.document import Document, parse_document


def page(document: dict[str, Any]) -> str:
    """The page as HTML.

    Args:
        document: a measurement, schema `edge-bench/2`.

    Raises:
        ValueError: it is none.
    """
    found = parse_document(document)
    style = files("edge.bench.page").joinpath("page.css").read_text("utf-8")
    return whole_page(title_of(found), style, _body(found))


def _body(document: Document) -> Iterator[Element]:
    yield header(document)
    yield tag(
        "main",
        _verdict(document),
        *ratio_tiles(document),
        series_table(document),
        *side_by_side(document),
        *setting_sections(document),
        *drawn_sections(document),
        machine(document),
        *_notes(document),
    )


def _verdict(document: Document) -> Element:
    """Whether the figures can be relied on, and what disturbed them."""
    unstable = [one for one in document.series if one.unstable_because]
    count = len(document.series)
    if not count:
        mood, title = "warn", "There is no series"
    elif not unstable:
        mood, title = "good", "All series are stable"
    elif len(unstable) < count:
        mood, title = "warn", f"{len(unstable)} of {count} series are unstable"
    else:
        mood, title = "bad", "No series is stable"
    parts = [tag("h2", title)]
    if unstable:
        text = (
            "A repeated measurement may give other figures for what is marked as unstable, and no "
            "ratio is made of it. Measure again on a quiet machine, or for longer."
        )
        parts.append(tag("p", text))
    if document.reasons:
        parts.append(tag("p", "What happened on the machine meanwhile:"))
        parts.append(listed(document.reasons, "warnings"))
    return tag("section", *parts, class_=f"verdict {mood}")


def _notes(document: Document) -> Iterator[Element]:
    if document.notes:
        yield tag("section", tag("h2", "Notes"), listed(document.notes, "lines"))
