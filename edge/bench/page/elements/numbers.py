"""Figures as people read them."""

from __future__ import annotations

import math

from edge.bench.statistics.percentiles import Estimate, Figure


def significant(value: float, digits: int = 3) -> str:
    """A number with about three digits that count, such as 0.0123, 1.23, 45.6 or 1,234."""
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(decimals, 0), 9)}f}"


def milliseconds(value: float) -> str:
    """For example `1.23 ms`."""
    return f"{significant(value)} ms"


def value_of(figure: Figure) -> str:
    """The figure without its interval; a dash where there is none."""
    return significant(figure.value) if isinstance(figure, Estimate) else "-"


def interval_of(figure: Estimate) -> str:
    """For example `1.20 to 1.31`."""
    return f"{significant(figure.low)} to {significant(figure.high)}"


def bytes_as_text(size_bytes: float) -> str:
    """For example `15.5 GiB`."""
    return f"{size_bytes / 2**30:.1f} GiB"
