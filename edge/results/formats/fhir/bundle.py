"""The Bundle: its entries and what the receiver is to do with each."""

from __future__ import annotations

import json
from urllib.parse import quote

from edge.results.formats.fhir.elements import (
    RESULT,
    Json,
    identifier,
)
from edge.results.formats.fhir.observations import observations
from edge.results.formats.fhir.origin import model, model_part, provenance, workstation
from edge.results.formats.fhir.report import report, specimen
from edge.results.formats.fhir.source import Receiver, Source


def bundle(source: Source) -> Json:
    """A transaction Bundle of everything that belongs to the result."""
    values = observations(source)
    parts = {
        "report": report(source, values),
        **values,
        "specimen": specimen(source),
        "workstation": workstation(source),
        **{model_part(each): model(each) for each in source.result.models},
    }
    targets = [source.url(part) for part in ("report", *values)]
    parts["provenance"] = provenance(source, targets)
    return {
        "resourceType": "Bundle",
        "identifier": identifier(RESULT, source.result_id),
        "type": "transaction",
        "timestamp": source.completed,
        "entry": [
            {
                "fullUrl": source.url(part),
                "resource": resource,
                "request": _request(resource, source.receiver),
            }
            for part, resource in parts.items()
        ],
    }


def to_json(made: Json) -> bytes:
    """The Bundle as a body of `application/fhir+json`."""
    return json.dumps(made, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _request(resource: Json, receiver: Receiver) -> Json:
    """What to do with the resource, so that a resend doubles nothing.

    Report and Observations are replaced, found by the slide's identifier: a correction takes the
    place of the result before it, and the server's history keeps that one. The rest is created
    unless it is there. OpenELIS does not carry requests out; it has rules of its own.
    """
    kind: str = resource["resourceType"]
    if receiver is Receiver.OPENELIS:
        return {"method": "POST", "url": kind}
    if kind in {"DiagnosticReport", "Observation"}:
        return {"method": "PUT", "url": f"{kind}?{_known_by(resource['identifier'][0])}"}
    if kind == "Provenance":
        tag = resource["meta"]["tag"][0]
        known = f"_tag={_token(tag['system'], tag['code'])}"
    else:
        known = _known_by(resource["identifier"][-1])
    return {"method": "POST", "url": kind, "ifNoneExist": known}


def _known_by(one: Json) -> str:
    return f"identifier={_token(one['system'], one['value'])}"


def _token(system: str, value: str) -> str:
    """`system|value` for a search, with FHIR's escapes and then those of a URL."""
    for char in "\\,$|":
        value = value.replace(char, f"\\{char}")
    # The systems are ours and need no escapes; most values need none, which is quick to see.
    return f"{system}%7C{quote(value, safe='')}"
