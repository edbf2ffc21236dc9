"""The values that a message must give back, taken from the result itself."""

from __future__ import annotations

from edge.results.document.result import FlagCode, Interval, SlideResult
from edge.results.formats.codes import (
    CELLS_COUNTED,
    ERYTHROBLASTS_PER_100_WBC,
    PLATELET_PRESENCE,
    CodeMap,
    number_of,
    percent_of,
)

Values = dict[str, float | str]
_NAMES = {
    "neutrophil": "NEUT",
    "eosinophil": "EOS",
    "basophil": "BASO",
    "lymphocyte": "LYMPH",
    "monocyte": "MONO",
    "ig": "IG",
}


def expected_values(result: SlideResult, codes: CodeMap) -> Values:
    """By code; coded values as their code."""
    return {**reported(result, codes), **_own(result)}


def reported(result: SlideResult, codes: CodeMap) -> Values:
    """Those that have LOINC codes."""
    found = result.differential
    values: dict[str, float | str | None] = {
        ERYTHROBLASTS_PER_100_WBC: found.erythroblasts.per_100_wbc,
        PLATELET_PRESENCE: "LA9633-4" if found.platelets else "NOT-SEEN",
        CELLS_COUNTED: found.leukocytes,
    }
    for one in found.classes:
        values[percent_of(one.name)] = one.percent
        values[number_of(one.name)] = one.absolute
    by_code: Values = {}
    for analyte, value in values.items():
        code = codes.code(analyte, result.state)
        if code and value is not None:
            by_code[code.loinc] = value
    return by_code


def _own(result: SlideResult) -> Values:
    found = result.differential
    values: Values = {
        "NRBC-CELLS": found.erythroblasts.count,
        "UNIDENTIFIED": found.unidentified,
        "REJECTED": found.rejected,
        "CELLS-ARTEFACT": len([cell for cell in result.cells if cell.label == "artefact"]),
        "CELLS-OTHER": len([cell for cell in result.cells if cell.label == "other"]),
        "CELLS-REVIEWED": len([cell for cell in result.cells if cell.reviewed_by]),
        "INTERVAL-BASIS": found.errors_from,
        **{code.replace("_", "-").upper(): "none" for code in FlagCode},
        **{flag.code.replace("_", "-").upper(): flag.text for flag in found.flags},
    }
    for one in found.classes:
        name = _NAMES[one.name]
        values[f"{name}-CELLS"] = one.count
        values |= _limits(f"{name}-SAMPLING", one.sampling)
        values |= _limits(f"{name}-ERRORS", one.with_errors)
    values |= _limits("NRBC-SAMPLING", found.erythroblasts.sampling)
    values |= _limits("NRBC-ERRORS", found.erythroblasts.with_errors)
    if result.replaces:
        values["REPLACES"] = result.replaces
    if result.reason:
        values["REASON"] = result.reason
    return values


def _limits(name: str, interval: Interval | None) -> Values:
    return {f"{name}-LOW": interval.low, f"{name}-HIGH": interval.high} if interval else {}
