"""Results that are hard for a message to carry."""

from __future__ import annotations

from dataclasses import replace

from edge.results.document.result import Flag, FlagCode, SlideResult, State
from tests.support.slides import differential_of

# Delimiters, frame bytes of MLLP, line breaks, letters beyond ASCII.
ODD = "a|b^c&d~e\\f \\F\\ \x0b\x1c\r\n\tKöln 陳 “x” # \\.br\\"


def with_odd_texts(result: SlideResult) -> SlideResult:
    """All free texts hold what must be escaped, one flag is of each code, one text is long."""
    differential = replace(
        result.differential,
        flags=tuple(Flag(code, f"{ODD} {code}") for code in FlagCode),
        errors_from=ODD * 20,
    )
    verification = result.verification and replace(result.verification, note=ODD)
    reason = ODD if result.state is State.CORRECTED else None
    return replace(result, differential=differential, verification=verification, reason=reason)


def without_leukocytes(result: SlideResult) -> SlideResult:
    """A slide on which there is nothing to count."""
    return replace(result, cells=(), differential=differential_of((), rejected=0, wbc=None))
