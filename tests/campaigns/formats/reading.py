"""What a judge reads in a file or message, and what it should have read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from edge.results.document.result import LEUKOCYTES, SlideResult
from edge.results.formats.code_map import load_code_map
from edge.results.formats.codes import (
    CELLS_COUNTED,
    ERYTHROBLASTS_PER_100_WBC,
    PLATELET_PRESENCE,
    Analyte,
    CodeMap,
    number_of,
    percent_of,
)
from edge.results.formats.format import Context, Site

# Numbers; of platelets, whether there are any.
Values = dict[Analyte, float | bool]
# By each analyte's code, in whatever state.
Analytes = dict[str, Analyte]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one judge read. `refused` says why it takes the content for broken."""

    sample_id: str = ""
    values: Values = field(default_factory=dict)
    refused: str = ""
    completed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """Who reads a format.

    Attributes:
        read: a reading of each content.
        is_slow: takes a tenth of a second for each or more.
        reads_values: gives values; otherwise it only takes or refuses.
        reads_platelets: takes what is no number.
        reads_time: gives when the result was completed.
    """

    name: str
    read: Callable[[Sequence[bytes]], list[Reading]]
    is_slow: bool = False
    reads_values: bool = True
    reads_platelets: bool = True
    reads_time: bool = False


def each(read: Callable[[bytes], Reading]) -> Callable[[Sequence[bytes]], list[Reading]]:
    """A judge of all from a judge of one."""
    return lambda contents: [read(content) for content in contents]


def expected(result: SlideResult, *, with_platelets: bool = True) -> Reading:
    """Taken from the result itself, not through what the formats share."""
    found = result.differential
    values: dict[Analyte, float | bool | None] = {
        ERYTHROBLASTS_PER_100_WBC: found.erythroblasts.per_100_wbc,
        CELLS_COUNTED: found.leukocytes,
    }
    for name, one in zip(LEUKOCYTES, found.classes, strict=True):
        values[percent_of(name)] = one.percent
        values[number_of(name)] = one.absolute
    if with_platelets:
        values[PLATELET_PRESENCE] = found.platelets > 0
    present = {key: value for key, value in values.items() if value is not None}
    return Reading(result.sample_id, present, completed=result.completed)


def value_of(analyte: Analyte, text: str | float | None) -> float | bool:
    """A value as a judge gives it.

    Raises:
        ValueError: it is no number, or no word for the presence of platelets.
    """
    if analyte != PLATELET_PRESENCE:
        return float(str(text))
    word = str(text).partition("^")[0].lower().replace("-", " ")
    return {"present": True, "la9633 4": True, "not seen": False}[word]


def by_loinc(codes: CodeMap) -> Analytes:
    """Of unverified and verified results alike."""
    both = (*codes.method_less.values(), *codes.manual.values())
    return {code.loinc: code.analyte for code in both}


def units_by_loinc(codes: CodeMap) -> dict[str, str]:
    """Of unverified and verified results alike; empty where there is none."""
    both = (*codes.method_less.values(), *codes.manual.values())
    return {code.loinc: code.unit for code in both}


def by_local(codes: CodeMap) -> Analytes:
    """As `by_loinc`, by the short codes."""
    both = (*codes.method_less.values(), *codes.manual.values())
    return {code.local: code.analyte for code in both}


def reading_of(
    rows: Sequence[tuple[str, str, str | float | None]], analytes: Analytes, refused: str = ""
) -> Reading:
    """One sample's values; anything else is refused."""
    samples = {sample for sample, _, _ in rows}
    if refused or len(samples) != 1 or len({code for _, code, _ in rows}) != len(rows):
        return Reading(refused=refused or f"{len(samples)} samples, {len(rows)} values")
    try:
        values = {analytes[c]: value_of(analytes[c], value) for _, c, value in rows}
    except (KeyError, ValueError) as error:
        return Reading(refused=repr(error))
    return Reading(samples.pop(), values)


def wrong_readings(
    judge: Judge, wanted: Sequence[Reading], contents: Sequence[bytes]
) -> Iterator[str]:
    """What a judge refuses, or reads otherwise than it was."""
    for right, found in zip(wanted, judge.read(contents), strict=True):
        if found.refused:
            yield f"refused: {found.refused}"
        elif judge.reads_values:
            wanted_here = right if judge.reads_time else replace(right, completed=None)
            if found != wanted_here:
                differ = set(found.values.items()) ^ set(right.values.items())
                yield f"read otherwise: {differ or (found, wanted_here)}"


CONTEXT: Final = Context(load_code_map(), Site())
LOINC: Final = by_loinc(CONTEXT.codes)
