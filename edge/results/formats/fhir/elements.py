"""Parts that the resources are made of: names of systems, codes, quantities, identifiers, times."""

from __future__ import annotations

import re
from typing import Any, Final

from edge.results.formats.codes import Code

Json = dict[str, Any]

OWN: Final = "urn:microscope-edge"
# Identifiers of ours. None of them holds patient data, so they may stand in a request's URL.
REPORT: Final = f"{OWN}:report"
RESULT: Final = f"{OWN}:result"
SLIDE: Final = f"{OWN}:slide"
OBSERVATION: Final = f"{OWN}:observation"
BUNDLE_SHA256: Final = f"{OWN}:bundle-sha256"
DEVICE: Final = f"{OWN}:device"
PERSON: Final = f"{OWN}:person"
# Codes of ours.
LOCAL_CODE: Final = f"{OWN}:local-code"
DETAIL: Final = f"{OWN}:detail"

LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
# Control characters but tab and line breaks, and halves of characters, as in a broken file name.
_UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"


def coding(system: str, code: str, display: str) -> Json:
    """A Coding."""
    return {"system": system, "code": code, "display": display}


def detail(code: str, text: str) -> Json:
    """A CodeableConcept of ours, for what has no code elsewhere."""
    return {"coding": [{"system": DETAIL, "code": code}], "text": text}


def concept(code: Code) -> Json:
    """A CodeableConcept from the code map, LOINC first: OpenELIS reads the first coding."""
    codings = [coding(LOINC, code.loinc, code.display)] if code.loinc else []
    if code.local:
        codings.append({"system": LOCAL_CODE, "code": code.local})
    return {"coding": codings, "text": code.display}


def quantity(value: float, unit: str) -> Json:
    """A Quantity; `unit` is UCUM."""
    if not unit:
        return {"value": value}
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def identifier(system: str, value: str) -> Json:
    """An Identifier."""
    return {"system": system, "value": value}


def without_empty(resource: Json) -> Json:
    """The resource without empty lists and texts, which FHIR has no place for."""
    return {key: value for key, value in resource.items() if value not in ([], "", None)}


def is_string(text: str) -> bool:
    """Whether FHIR's `string` takes it: not blank, no control characters, encodable."""
    return _UNFIT.search(text) is None and bool(text) and not text.isspace()
