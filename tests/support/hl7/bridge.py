"""How OpenELIS' bridge reads a message: its rules, written anew from a description of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.support.hl7.reading import read

_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{0,18})?([eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST_NUMBER = 48


@dataclass(frozen=True, slots=True)
class Row:
    """One staged result; a number arrives as such, all else as text."""

    code: str
    value: float | str
    unit: str
    status: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What is staged for a message, for one analyzer and one sample."""

    analyzer: str
    accession: str
    rows: tuple[Row, ...]


def read_as_bridge(message: bytes) -> Reading:
    """Nothing is unescaped, whole fields are taken, and the last OBR names the sample of all."""
    segments = read(message)
    accession = ""
    for segment in segments:
        if segment.name == "OBR":
            accession = segment[3] or segment[2]
    rows = [
        Row(segment.part(3, 1), _value(segment[5]), segment.part(6, 1), segment[11])
        for segment in segments
        if segment.name == "OBX" and segment[5]
    ]
    return Reading(segments[0][3], accession, tuple(rows))


def _value(field: str) -> float | str:
    is_number = len(field) <= _LONGEST_NUMBER and _NUMBER.fullmatch(field)
    return float(field) if is_number else field
