"""What a result's OBX segments say: code, value and unit of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from edge.results.document.result import ARTEFACT, OTHER, FlagCode, Interval, SlideResult, State
from edge.results.formats.codes import Code, CodeMap
from edge.results.formats.hl7.segment import components, text
from edge.results.formats.observed import PRESENT, Observed, number_text, observed

# Coding system of what has no LOINC code; names of local systems begin with 99 (table 0396).
OWN_SYSTEM: Final = "99EDGE"
# The first is LOINC's own answer code.
_PLATELETS_PRESENT: Final = components("LA9633-4", "Present", "LN")
_PLATELETS_NOT_SEEN: Final = components("NOT-SEEN", "Not seen", OWN_SYSTEM)
_LONGEST_ST: Final = 199
# Codes have at most 20 characters, so the parts of ours are short. They do not follow the site's
# local codes: a receiver is set up for them once.
_SHORT: Final = {
    "neutrophil": ("NEUT", "Neutrophils"),
    "eosinophil": ("EOS", "Eosinophils"),
    "basophil": ("BASO", "Basophils"),
    "lymphocyte": ("LYMPH", "Lymphocytes"),
    "monocyte": ("MONO", "Monocytes"),
    "ig": ("IG", "Immature granulocytes"),
    "erythroblast": ("NRBC", "Erythroblasts"),
}


@dataclass(frozen=True, slots=True)
class Observation:
    """One OBX.

    Attributes:
        code: encoded CE of OBX-3.
        value_type: NM, CE, ST or TX; CWE is not in table 0125 of v2.5.1.
        value: encoded.
        unit: UCUM; empty without one.
    """

    code: str
    value_type: str
    value: str
    unit: str = ""


def observations(result: SlideResult, codes: CodeMap) -> list[Observation]:
    """All observations of a result: those with codes of the site's map, then our own.

    What is not known is left out: receivers drop an empty value, and take no status for it.
    """
    return [
        *map(_reported, observed(result, codes)),
        *_counts(result),
        *_intervals(result),
        *_remarks(result),
    ]


@cache
def coded(code: Code) -> str:
    """A site's code as CE: LOINC first, the local code as the alternate."""
    return components(code.loinc, code.display, "LN", code.local, "", "L")


def _reported(found: Observed) -> Observation:
    if isinstance(found.value, str):
        is_present = found.value == PRESENT
        answer = _PLATELETS_PRESENT if is_present else _PLATELETS_NOT_SEEN
        return Observation(coded(found.code), "CE", answer)
    return Observation(coded(found.code), "NM", found.text, found.code.unit)


def _counts(result: SlideResult) -> Iterator[Observation]:
    differential = result.differential
    for found in differential.classes:
        short, plural = _SHORT[found.name]
        yield _count(f"{short}-CELLS", f"{plural} counted", found.count)
    yield _count("NRBC-CELLS", "Erythroblasts counted", differential.erythroblasts.count)
    yield _count("UNIDENTIFIED", "Cells that are not identified", differential.unidentified)
    yield _count("REJECTED", "Images that cannot be labelled", differential.rejected)
    labels = [cell.label for cell in result.cells]
    yield _count("CELLS-ARTEFACT", "Images of no whole cell, said a person", labels.count(ARTEFACT))
    yield _count("CELLS-OTHER", "Cells of another kind, said a person", labels.count(OTHER))
    reviewed = sum(cell.reviewed_by is not None for cell in result.cells)
    yield _count("CELLS-REVIEWED", "Cells that a person has seen", reviewed)


def _intervals(result: SlideResult) -> Iterator[Observation]:
    # Not in OBX-7, which is the reference range, and not under the value's own code with a sub-id:
    # a receiver that does not read OBX-4 would take a limit for the value.
    differential = result.differential
    for found in differential.classes:
        yield from _both_intervals(found.name, found.sampling, found.with_errors, "%")
    nucleated = differential.erythroblasts
    yield from _both_intervals(
        "erythroblast", nucleated.sampling, nucleated.with_errors, "/100{WBCs}"
    )


def _both_intervals(
    name: str, sampling: Interval | None, with_errors: Interval | None, unit: str
) -> Iterator[Observation]:
    yield from _limits(name, "SAMPLING", "sampling alone", sampling, unit)
    yield from _limits(name, "ERRORS", "sampling and model errors", with_errors, unit)


def _limits(
    name: str, kind: str, basis: str, interval: Interval | None, unit: str
) -> Iterator[Observation]:
    if interval is None:
        return
    short, plural = _SHORT[name]
    for end, limit in (("LOW", interval.low), ("HIGH", interval.high)):
        label = f"{plural}, 95 % interval, {basis}, {end.lower()} limit"
        code = _own_code(f"{short}-{kind}-{end}", label)
        yield Observation(code, "NM", number_text(limit), unit)


def _remarks(result: SlideResult) -> Iterator[Observation]:
    differential = result.differential
    if differential.errors_from:
        yield _said("INTERVAL-BASIS", "Basis of the intervals", differential.errors_from)
    said = {flag.code: flag.text for flag in differential.flags}
    # Each has a code of its own, because receivers keep one value of a code; and each is always
    # there, because a correction would not take back a flag that it does not name.
    for flag in FlagCode:
        name = flag.replace("_", " ")
        yield _said(name.upper().replace(" ", "-"), f"Flag: {name}", said.get(flag, "none"))
    if result.replaces:
        yield _said("REPLACES", "Message that this one replaces", result.replaces)
    if result.state is State.CORRECTED and result.reason:
        yield _said("REASON", "Reason of the correction", result.reason)


def _count(code: str, label: str, count: int) -> Observation:
    return Observation(_own_code(code, label), "NM", str(count), "{#}")


def _said(code: str, label: str, value: str) -> Observation:
    encoded = text(value)
    value_type = "ST" if len(encoded) <= _LONGEST_ST else "TX"
    return Observation(_own_code(code, label), value_type, encoded)


@cache
def _own_code(code: str, label: str) -> str:
    return components(code, label, OWN_SYSTEM)
