"""The rules by which OpenELIS takes a Bundle and stages its values, modelled without its code.

Source: AnalyzerFhirImportController and insertAnalyzerResults of OpenELIS Global 2, read in 2026.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

Json = dict[str, Any]


class RefusedError(Exception):
    """The answer is an error, or a value is left out without a word."""


@dataclass(frozen=True, slots=True)
class Row:
    """One value in the list that a technician accepts from."""

    accession: str
    test: str
    result: str
    unit: str | None
    completed: datetime
    is_control: bool = False


@dataclass(slots=True)
class Staging:
    """The list of one analyzer."""

    rows: list[Row] = field(default_factory=list)
    corrections: list[tuple[Row, Row]] = field(default_factory=list)
    skipped: list[Row] = field(default_factory=list)

    def insert(self, rows: list[Row]) -> None:
        """Equal time or equal value: skipped in silence. Both differ: linked as a correction."""
        for row in rows:
            key = (row.accession, row.test)
            known = [one for one in self.rows if (one.accession, one.test) == key]
            if any(one.completed == row.completed or one.result == row.result for one in known):
                self.skipped.append(row)
                continue
            if known:
                self.corrections.append((known[-1], row))
            self.rows.append(row)


def read(bundle: Json) -> list[Row]:
    """The rows of a Bundle.

    Raises:
        RefusedError: the Bundle is refused, or an Observation would be lost.
    """
    if bundle.get("type") not in {"transaction", "batch"}:
        raise RefusedError(f"bundle type is {bundle.get('type')}")
    entries = bundle.get("entry", [])
    accessions = {
        entry["fullUrl"]: value
        for entry in entries
        if entry["resource"]["resourceType"] == "Specimen"
        and (value := _accession(entry["resource"])) is not None
    }
    found = [
        _row(entry["resource"], accessions)
        for entry in entries
        if entry["resource"]["resourceType"] == "Observation"
    ]
    if not found:
        raise RefusedError("no observation")
    return found


def _accession(specimen: Json) -> str | None:
    identifiers = specimen.get("identifier") or [{}]
    value: str | None = identifiers[0].get("value")
    return value


def _row(observation: Json, accessions: dict[str, str]) -> Row:
    link = observation.get("specimen", {}).get("reference")
    if link not in accessions:
        raise RefusedError("no accession for an observation: it would be left out")
    codings = observation.get("code", {}).get("coding") or [{}]
    test = codings[0].get("code") or codings[0].get("display")
    if codings[0].get("system") != "http://loinc.org" or not test:
        raise RefusedError("the first coding is no LOINC code: no test would be found")
    result, unit = _value(observation)
    if "effectiveDateTime" not in observation:
        raise RefusedError("no completion time: the time of the import would stand for it")
    completed = datetime.fromisoformat(observation["effectiveDateTime"])
    if completed.tzinfo is None:
        raise RefusedError("completion time without offset")
    tags = observation.get("meta", {}).get("tag", [])
    is_control = any(tag.get("code") == "QC" for tag in tags)
    if is_control:
        raise RefusedError("taken for a control")
    return Row(accessions[link], test, result, unit, stored(completed))


def stored(time: datetime) -> datetime:
    """A time as OpenELIS keeps it: Java's Timestamp of HAPI's date holds milliseconds."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _value(observation: Json) -> tuple[str, str | None]:
    number = observation.get("valueQuantity")
    if number is not None:
        value = number.get("value")
        if isinstance(value, str) or value is None:
            raise RefusedError("a quantity without a number fails the whole Bundle")
        return format(Decimal(str(value)), "f"), number.get("unit")
    # Versions of 2026 read valueString only, earlier ones a CodeableConcept too.
    text = observation.get("valueString")
    if text is None:
        raise RefusedError("an observation without a value: it would be left out")
    return text, None
