"""Devices and Provenance: which model and which people the values come from."""

from __future__ import annotations

from collections import Counter

from edge.results.document.result import ModelIdentity, SlideResult
from edge.results.formats.fhir.elements import (
    BUNDLE_SHA256,
    DEVICE,
    PERSON,
    RESULT,
    TERMINOLOGY,
    Json,
    coding,
    detail,
    identifier,
    without_empty,
)
from edge.results.formats.fhir.report import person
from edge.results.formats.fhir.source import Source

# AI Transparency on FHIR: the type of a Device, and the role of an agent, that is a model.
_MODEL_TYPE = coding(
    "http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS",
    "Artificial-Intelligence",
    "All kinds of Artificial Intelligence",
)


def model(identity: ModelIdentity) -> Json:
    """The Device of a model; the hash of its bundle is its identity."""
    return {
        "resourceType": "Device",
        "identifier": [identifier(BUNDLE_SHA256, identity.bundle_sha256)],
        "deviceName": [{"name": identity.name, "type": "model-name"}],
        "type": {"coding": [_MODEL_TYPE], "text": "neural network that labels images of cells"},
        "version": [{"value": identity.version}],
    }


def workstation(source: Source) -> Json:
    """The Device that the model ran on."""
    site = source.context.site
    name = site.application or site.device
    return {
        "resourceType": "Device",
        "identifier": [identifier(DEVICE, site.device)],
        "deviceName": [{"name": name, "type": "user-friendly-name"}],
        "type": {"text": "workstation beside a digital microscope"},
    }


def provenance(source: Source, targets: list[str]) -> Json:
    """Who made this revision, from what, and why.

    Args:
        targets: fullUrls of the report and its Observations.
    """
    result = source.result
    activity = ("UPDATE", "revise") if result.replaces else ("CREATE", "create")
    made_by_ai = coding(
        f"{TERMINOLOGY}/v3-ObservationValue", "AIAST", "Artificial Intelligence asserted"
    )
    reasons: list[Json] = [{"coding": [made_by_ai]}]
    if result.reason:
        reasons.append({"text": result.reason})
    tag = {"tag": [{"system": RESULT, "code": source.result_id}]}
    return without_empty(
        {
            "resourceType": "Provenance",
            # Provenance has no identifier in R4: a resend is known by this tag.
            "meta": source.labels() | tag,
            "target": [{"reference": target} for target in targets],
            "occurredDateTime": source.completed,
            "recorded": source.completed,
            "reason": reasons,
            "activity": {"coding": [coding(f"{TERMINOLOGY}/v3-DataOperation", *activity)]},
            "agent": [*_devices(source), *_people(result)],
            "entity": _earlier(result),
        }
    )


def model_part(identity: ModelIdentity) -> str:
    """The name of the model's entry in the Bundle."""
    return f"model {identity.bundle_sha256}"


def _agent(kind: str, display: str, who: Json) -> Json:
    type_of = coding(f"{TERMINOLOGY}/provenance-participant-type", kind, display)
    return {"type": {"coding": [type_of]}, "who": who}


def _devices(source: Source) -> list[Json]:
    authors = [
        _agent("author", "Author", source.reference(model_part(each)))
        | {"role": [{"coding": [_MODEL_TYPE]}]}
        for each in source.result.models
    ]
    station = source.reference("workstation")
    return [*authors, _agent("assembler", "Assembler", station)]


def _people(result: SlideResult) -> list[Json]:
    """The verifier, and those who reviewed single cells."""
    verified = result.verification
    agents = [_agent("verifier", "Verifier", person(verified.by))] if verified else []
    reviewed = Counter(cell.reviewed_by for cell in result.cells if cell.reviewed_by is not None)
    for who, count in sorted(reviewed.items()):
        role = detail("reviewer", f"reviewed {count} of {len(result.cells)} cells")
        reviewer = {"type": "Practitioner", "identifier": identifier(PERSON, who)}
        agents.append(_agent("performer", "Performer", reviewer) | {"role": [role]})
    return agents


def _earlier(result: SlideResult) -> list[Json]:
    if result.replaces is None:
        return []
    what = {"type": "DiagnosticReport", "identifier": identifier(RESULT, result.replaces)}
    return [{"role": "revision", "what": what}]
