"""Bars of shares, as wide as their cell of a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from markupsafe import Markup

from converters.report.drawings.shapes import line, rect, stretched


def bar(share: float, kind: str, label: str) -> Markup:
    """One horizontal bar of a share 0..1 of the full width."""
    width = round(100 * min(max(share, 0.0), 1.0), 2)
    return stretched(10, label, [rect(0, 0, width, 10, kind)])


def recall_bars(fp32: dict[str, Any], int8: dict[str, Any], label: str) -> Markup:
    """FP32 above INT8, from 0 to 100 %, each with its interval."""
    grid = [line(x, 0, x, 36, "grid") for x in (25, 50, 75, 100)]
    return stretched(36, label, [*grid, *_recall(fp32, 3, "fp32"), *_recall(int8, 20, "int8")])


def _recall(fields: dict[str, Any], y: float, kind: str) -> Iterator[Element]:
    if not fields["total"]:
        return
    low, high, middle = 100 * fields["low"], 100 * fields["high"], y + 6.5
    yield rect(0, y, 100 * fields["rate"], 13, kind)
    yield line(low, middle, high, middle, "whisker")
    yield line(low, y + 3, low, y + 10, "whisker")
    yield line(high, y + 3, high, y + 10, "whisker")
