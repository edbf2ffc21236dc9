"""Observations: one per value, and one with what to know before using them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from edge.results.document.result import LEUKOCYTES, SlideResult, State
from edge.results.formats.codes import ERYTHROBLASTS_PER_100_WBC, Analyte, number_of, percent_of
from edge.results.formats.fhir.elements import (
    LOINC,
    OBSERVATION,
    TERMINOLOGY,
    Json,
    coding,
    concept,
    detail,
    identifier,
    quantity,
    without_empty,
)
from edge.results.formats.fhir.source import Receiver, Source
from edge.results.formats.observed import PRESENT, Observed, observed

QUALITY: Final = "quality"
_SAMPLING: Final = "95 % interval of sampling alone (Clopper-Pearson)"
_WITH_ERRORS: Final = "95 % interval of sampling and the model's errors"


def observations(source: Source) -> dict[str, Json]:
    """All Observations, by analyte.

    OpenELIS makes a line for a technician of each that has a value, so it gets no others; and
    it reads no components.
    """
    shared = _shared(source)
    made = {
        one.code.analyte: shared | _reported(source, one)
        for one in observed(source.result, source.context.codes)
    }
    if source.receiver is Receiver.SERVER:
        made |= {part: shared | each for part, each in _absent(source, made).items()}
        made[QUALITY] = shared | _quality(source)
    return made


def _reported(source: Source, one: Observed) -> Json:
    analyte, unit = one.code.analyte, one.code.unit
    if isinstance(one.value, str):
        value = _presence(one.value, source.receiver)
    else:
        value = {"valueQuantity": quantity(one.value, unit)}
    components: list[Json] = []
    if source.receiver is Receiver.SERVER:
        components = [*_counted(source.result, analyte, unit), *_intervals(one, unit)]
    return without_empty(
        {"identifier": _identifiers(source, analyte), "code": concept(one.code)}
        | value
        | {"component": components}
    )


def _absent(source: Source, made: Mapping[str, Json]) -> dict[str, Json]:
    """What has no value, as no leukocyte was counted, said so.

    The revision before may have had one, and its Observation must not stay as it was.
    """
    if source.result.differential.leukocytes:
        return {}
    reason = coding(f"{TERMINOLOGY}/data-absent-reason", "unknown", "Unknown")
    why = {"dataAbsentReason": {"coding": [reason], "text": "no leukocyte was counted"}}
    numbers = map(number_of, LEUKOCYTES) if source.result.differential.wbc is not None else ()
    shares = (*map(percent_of, LEUKOCYTES), ERYTHROBLASTS_PER_100_WBC, *numbers)
    return {
        analyte: {"identifier": _identifiers(source, analyte), "code": concept(code)} | why
        for analyte in shares
        if analyte not in made and (code := source.code(analyte))
    }


def _identifiers(source: Source, part: str) -> list[Json]:
    return [identifier(OBSERVATION, f"{source.slide_key}-{_slug(part)}")]


def _shared(source: Source) -> Json:
    """What all Observations of a result share."""
    method = "images of cells labelled by a neural network"
    seen = "not verified" if source.result.state is State.PRELIMINARY else "verified by a person"
    laboratory_category = coding(f"{TERMINOLOGY}/observation-category", "laboratory", "Laboratory")
    return without_empty(
        {
            "resourceType": "Observation",
            "meta": source.labels(),
            "status": source.result.state.value,
            "category": [{"coding": [laboratory_category]}],
            "effectiveDateTime": source.effective,
            "issued": source.completed,
            "performer": source.laboratory(),
            "method": {"text": f"{method}, {seen}"},
            "specimen": source.reference("specimen"),
            "device": source.reference("workstation"),
        }
    )


def _slug(analyte: Analyte) -> str:
    """An analyte as letters and hyphens: `erythroblast /100 WBC` gives `erythroblast-per-100-wbc`.

    It stands in identifiers that a request's URL holds.
    """
    words = analyte.replace("%", "percent").replace("#", "number").replace("/", "per ")
    return "-".join(words.lower().split())


def _counted(result: SlideResult, analyte: Analyte, unit: str) -> Iterator[Json]:
    """Components of a share: its cells, and the share itself, which the percents round."""
    cells = detail("cells", "cells of this class")
    if analyte == ERYTHROBLASTS_PER_100_WBC:
        yield {"code": cells, "valueInteger": result.differential.erythroblasts.count}
    for each in result.differential.classes:
        if percent_of(each.name) == analyte:
            yield {"code": cells, "valueInteger": each.count}
            if each.share is not None:
                share = detail("share", "share before rounding, which the intervals belong to")
                yield {"code": share, "valueQuantity": quantity(round(each.share, 2), unit)}


def _intervals(one: Observed, unit: str) -> Iterator[Json]:
    """Components, each named. Never a referenceRange: they say nothing about a healthy person."""
    for code, text, interval in (
        ("interval-sampling", _SAMPLING, one.sampling),
        ("interval-with-errors", _WITH_ERRORS, one.with_errors),
    ):
        if interval is not None:
            low, high = round(interval.low, 2), round(interval.high, 2)
            limits = {"low": quantity(low, unit), "high": quantity(high, unit)}
            yield {"code": detail(code, text), "valueRange": limits}


def _presence(text: str, receiver: Receiver) -> Json:
    """Platelets as seen or not. OpenELIS reads texts; its newer versions no CodeableConcept."""
    if receiver is Receiver.OPENELIS:
        return {"valueString": text}
    known = {"coding": [coding(LOINC, "LA9633-4", "Present")]} if text == PRESENT else {}
    return {"valueCodeableConcept": known | {"text": text}}


def _quality(source: Source) -> Json:
    """The Observation with counts that are no results, and the flags."""
    differential = source.result.differential
    components: list[Json] = [
        {
            "code": detail("unidentified", "cells that the model did not identify"),
            "valueInteger": differential.unidentified,
        },
        {
            "code": detail("rejected", "images that could not be labelled"),
            "valueInteger": differential.rejected,
        },
        {
            "code": detail("errors-from", "what the intervals with the model's errors stand on"),
            "valueString": differential.errors_from,
        },
    ]
    if differential.wbc is not None:
        text = "leukocytes by a cell counter, which the absolute numbers stand on"
        count = quantity(differential.wbc, "10*9/L")
        components.append({"code": detail("wbc", text), "valueQuantity": count})
    components.extend(
        {"code": detail(f"flag-{flag.code.value}", "flag"), "valueString": flag.text}
        for flag in differential.flags
    )
    code = {"code": detail("slide-quality", "what to know before using the differential")}
    return code | {"identifier": _identifiers(source, QUALITY), "component": components}
