"""What a result reports, with its codes: every format takes its values from here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from edge.results.document.result import Interval, SlideResult
from edge.results.formats.codes import (
    CELLS_COUNTED,
    ERYTHROBLASTS_PER_100_WBC,
    PLATELET_PRESENCE,
    Analyte,
    Code,
    CodeMap,
    number_of,
    percent_of,
)

PRESENT: Final = "present"
# Not `absent`: an analyzer shows only what it took for a cell.
NOT_SEEN: Final = "not seen"


@dataclass(frozen=True, slots=True)
class Observed:
    """One reported value.

    Attributes:
        value: whole percents and counts as int; per 100 leukocytes and per litre as float; presence
            of platelets as `PRESENT` or `NOT_SEEN`.
        sampling: limits in the value's unit; None where there are none.
        with_errors: the same, with the model's errors.
    """

    code: Code
    value: float | str
    sampling: Interval | None = None
    with_errors: Interval | None = None

    @property
    def text(self) -> str:
        """The value with a decimal point, without an exponent."""
        return self.value if isinstance(self.value, str) else number_text(self.value)


def observed(result: SlideResult, codes: CodeMap) -> tuple[Observed, ...]:
    """The values that a result has and the site reports, in the order of `ANALYTES`.

    A result without leukocytes has no percentages; one without a leukocyte count no numbers per
    litre. Otherwise each revision reports the same analytes, so that a correction replaces all.
    """
    return tuple(
        Observed(code, value, sampling, with_errors)
        for analyte, value, sampling, with_errors in _values(result)
        if value is not None and (code := codes.code(analyte, result.state))
    )


_Value = tuple[Analyte, float | str | None, Interval | None, Interval | None]


def _values(result: SlideResult) -> Iterator[_Value]:
    found = result.differential
    for one in found.classes:
        yield percent_of(one.name), one.percent, one.sampling, one.with_errors
    nucleated = found.erythroblasts
    yield (
        ERYTHROBLASTS_PER_100_WBC,
        nucleated.per_100_wbc,
        nucleated.sampling,
        nucleated.with_errors,
    )
    yield PLATELET_PRESENCE, PRESENT if found.platelets else NOT_SEEN, None, None
    yield CELLS_COUNTED, found.leukocytes, None, None
    for one in found.classes:
        # The intervals belong to the share; the leukocyte count has an error of its own.
        yield number_of(one.name), one.absolute, None, None


def number_text(number: float) -> str:
    """A number with a decimal point and without an exponent; whole numbers as such."""
    text = repr(number)
    # Most have no exponent, and are no infinity or the like: then this is the text.
    return format(Decimal(text), "f") if "e" in text or "n" in text else text
