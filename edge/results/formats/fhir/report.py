"""DiagnosticReport and Specimen: what the values are about, and the same as text for people."""

from __future__ import annotations

from html import escape
from typing import Any

from edge.results.document.result import Person, SlideResult, State
from edge.results.formats.codes import PANEL
from edge.results.formats.fhir.elements import (
    PERSON,
    REPORT,
    RESULT,
    SLIDE,
    TERMINOLOGY,
    Json,
    coding,
    concept,
    identifier,
    without_empty,
)
from edge.results.formats.fhir.source import Source
from edge.text.rfc3339 import rfc3339


def specimen(source: Source) -> Json:
    """The sample on the slide.

    The sample id is the first identifier, where OpenELIS looks for the accession. It has no
    system: only the laboratory knows whose number it is.
    """
    result = source.result
    accession = coding(f"{TERMINOLOGY}/v2-0203", "ACSN", "Accession ID")
    blood = coding(f"{TERMINOLOGY}/v2-0487", "BLD", "Whole blood")
    made: Json = {
        "resourceType": "Specimen",
        "identifier": [
            {"type": {"coding": [accession]}, "value": result.sample_id},
            identifier(SLIDE, source.slide_key),
        ],
        "accessionIdentifier": {"value": result.sample_id},
        "status": "available",
        "type": {"coding": [blood], "text": "smear of blood"},
    }
    if result.collected is not None:
        made["collection"] = {"collectedDateTime": rfc3339(result.collected)}
    if result.slide_id is not None:
        made["container"] = [
            {"identifier": [{"value": result.slide_id}], "description": "microscope slide"}
        ]
    return made


def person(who: Person) -> Json:
    """A Reference to a person whom the receiver knows by the site's id."""
    return {"type": "Practitioner", "identifier": identifier(PERSON, who.id), "display": who.name}


def report(source: Source, values: dict[str, Json]) -> Json:
    """The DiagnosticReport.

    Args:
        values: the Observations by analyte.
    """
    result = source.result
    # A result without a panel's code is a misfit and does not come here.
    panel = source.code(PANEL)
    haematology = coding(f"{TERMINOLOGY}/v2-0074", "HM", "Hematology")
    verified = result.verification
    return without_empty(
        {
            "resourceType": "DiagnosticReport",
            "meta": source.labels(),
            "text": {"status": "generated", "div": _narrative(result, values)},
            "identifier": [
                identifier(REPORT, source.slide_key),
                identifier(RESULT, source.result_id),
            ],
            "status": result.state.value,
            "category": [{"coding": [haematology]}],
            "code": concept(panel) if panel else None,
            "effectiveDateTime": source.effective,
            "issued": source.completed,
            "performer": source.laboratory(),
            "resultsInterpreter": [person(verified.by)] if verified else [],
            "specimen": [source.reference("specimen")],
            "result": [source.reference(part) for part in values],
            "conclusion": "\n".join(_remarks(result)),
        }
    )


def _remarks(result: SlideResult) -> list[str]:
    """What a person must read with the values, a line each."""
    verified = result.verification
    if result.state is State.PRELIMINARY or verified is None:
        lines = ["Preliminary: labelled by a neural network, not verified by a person."]
    else:
        lines = [f"Verified by {verified.by.name} at {rfc3339(verified.at)}."]
        lines += [f"Note: {verified.note}"] if verified.note else []
    if result.reason:
        lines.append(f"Corrected: {result.reason}")
    return lines + [f"Flag: {flag.text}" for flag in result.differential.flags]


def _narrative(result: SlideResult, values: dict[str, Json]) -> str:
    """The values and remarks as XHTML, for a receiver that does not know the codes."""
    rows = "".join(
        f"<tr><td>{escape(each['code']['text'])}</td><td>{escape(text)}</td></tr>"
        for each in values.values()
        if (text := _value_text(each))
    )
    remarks = "".join(f"<p>{escape(line)}</p>" for line in _remarks(result))
    return f'<div xmlns="http://www.w3.org/1999/xhtml"><table>{rows}</table>{remarks}</div>'


def _value_text(observation: Json) -> str:
    number: dict[str, Any] | None = observation.get("valueQuantity")
    if number is not None:
        return f"{number['value']} {number.get('unit', '')}".strip()
    words: str = observation.get("valueString") or observation.get("valueCodeableConcept", {}).get(
        "text", ""
    )
    return words
