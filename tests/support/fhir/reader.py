"""A program that reads a Bundle as a laboratory would: values with units, and whether to trust."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from edge.results.formats.loinc import MANUAL, TERMS, UNITS

Json = dict[str, Any]
LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
VERIFIED: Final = ("final", "corrected")


class RefusedError(Exception):
    """What the Bundle says cannot be right."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its unit, its named intervals, when it was completed."""

    value: float | str | None
    unit: str
    intervals: dict[str, tuple[float, float]]
    cells: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a Bundle says."""

    sample_id: str
    slide_id: str | None
    status: str
    panel: str
    completed: datetime
    taken: datetime
    values: dict[str, Value]
    flags: dict[str, str]
    verifier: str | None
    models: set[tuple[str, str, str]]
    replaces: str | None
    is_ai_asserted: bool


def read(bundle: Json) -> Reading:
    """What the Bundle says.

    Raises:
        RefusedError: it contradicts itself or LOINC.
    """
    kinds: dict[str, list[Json]] = {}
    for entry in bundle["entry"]:
        kinds.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    (report,), (specimen,), (origin,) = (
        _one(kinds, kind) for kind in ("DiagnosticReport", "Specimen", "Provenance")
    )
    observations = kinds["Observation"]
    _check_trust(report, observations, origin)
    if len(report["result"]) != len(observations):
        raise RefusedError("the report does not list all observations")
    verifiers = [one for one in origin["agent"] if _role(one) == "verifier"]
    earlier = [one["what"]["identifier"]["value"] for one in origin.get("entity", [])]
    containers = specimen.get("container", [])
    return Reading(
        sample_id=specimen["identifier"][0]["value"],
        slide_id=containers[0]["identifier"][0]["value"] if containers else None,
        status=report["status"],
        panel=_loinc(report["code"]) or "",
        completed=_time(report.get("issued")),
        taken=_time(report.get("effectiveDateTime")),
        values={code: _value(one) for one in observations if (code := _loinc(one["code"]))},
        flags=_flags(observations),
        verifier=verifiers[0]["who"]["identifier"]["value"] if verifiers else None,
        models={_model(one) for one in kinds["Device"] if "version" in one},
        replaces=earlier[0] if earlier else None,
        is_ai_asserted=_is_ai_asserted(report),
    )


def _one(kinds: dict[str, list[Json]], kind: str) -> list[Json]:
    if len(kinds.get(kind, [])) != 1:
        raise RefusedError(f"not one {kind}")
    return kinds[kind]


def _check_trust(report: Json, observations: list[Json], origin: Json) -> None:
    """A status, codes and people that fit to one another; the model's part labelled."""
    for one in (report, *observations):
        if one["status"] != report["status"]:
            raise RefusedError("an observation's status is not the report's")
        if not _is_ai_asserted(one):
            raise RefusedError("a resource does not say that a model had a part in it")
        term = TERMS.get(_loinc(one["code"]) or "")
        if report["status"] not in VERIFIED and term and term.method == MANUAL:
            raise RefusedError("an unverified value has the code of a manual count")
        if "referenceRange" in one:
            raise RefusedError("limits of an interval stand where a healthy person's do")
    has_verifier = any(_role(one) == "verifier" for one in origin["agent"])
    if has_verifier != (report["status"] in VERIFIED):
        raise RefusedError("status and verifier contradict one another")
    if report["status"] == "corrected" and not origin.get("entity"):
        raise RefusedError("a correction that corrects nothing")


def _loinc(code: Json) -> str | None:
    found = [one["code"] for one in code.get("coding", []) if one.get("system") == LOINC]
    return found[0] if found else None


def _role(agent: Json) -> str:
    role: str = agent["type"]["coding"][0]["code"]
    return role


def _is_ai_asserted(resource: Json) -> bool:
    labels = resource.get("meta", {}).get("security", [])
    return any(label.get("code") == "AIAST" for label in labels)


def _time(text: str | None) -> datetime:
    if text is None:
        raise RefusedError("no time of completion")
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise RefusedError("a time without offset")
    return time


def _value(observation: Json) -> Value:
    for name in ("effectiveDateTime", "issued"):
        _time(observation.get(name))
    number = observation.get("valueQuantity")
    text = observation.get("valueCodeableConcept", {}).get("text") or observation.get("valueString")
    unit = number.get("code", "") if number else ""
    if number and unit and number.get("system") != UCUM:
        raise RefusedError("a unit's code without the system that it is from")
    term = TERMS.get(_loinc(observation["code"]) or "")
    has_value = number is not None or text is not None
    if has_value and term is not None and unit not in UNITS[term.property]:
        raise RefusedError(f"unit {unit!r} is not one of its LOINC code")
    components = observation.get("component", [])
    counts = [one["valueInteger"] for one in components if "valueInteger" in one]
    return Value(
        value=number["value"] if number else text,
        unit=unit,
        intervals={
            one["code"]["coding"][0]["code"]: (
                one["valueRange"]["low"]["value"],
                one["valueRange"]["high"]["value"],
            )
            for one in components
            if "valueRange" in one
        },
        cells=counts[0] if counts else None,
    )


def _flags(observations: list[Json]) -> dict[str, str]:
    return {
        code.removeprefix("flag-"): component["valueString"]
        for one in observations
        for component in one.get("component", [])
        if (code := component["code"]["coding"][0]["code"]).startswith("flag-")
    }


def _model(device: Json) -> tuple[str, str, str]:
    return (
        device["deviceName"][0]["name"],
        device["version"][0]["value"],
        device["identifier"][0]["value"],
    )
