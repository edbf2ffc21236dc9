"""Reads a slide's result from JSON, strictly."""

from __future__ import annotations

from edge.files.strict_json import parse_json
from edge.results.document.consistency import inconsistency
from edge.results.document.result import (
    LEUKOCYTES,
    SCHEMA,
    ClassResult,
    Differential,
    Erythroblasts,
    Flag,
    FlagCode,
    Interval,
    ModelIdentity,
    Person,
    ResultCell,
    SlideResult,
    State,
    Verification,
)
from edge.results.document.strict_fields import StrictFields


def from_json(content: bytes) -> SlideResult:
    """The result that a document of `edge-result/1` holds.

    Raises:
        ValueError: it is none, or its parts contradict each other; the text is short and says why.
    """
    fields = StrictFields(parse_json(content))
    fields.word("schema", (SCHEMA,))
    ids = fields.text("result_id"), fields.text("slide_key")
    result = SlideResult(
        sample_id=fields.text("sample_id"),
        slide_id=fields.or_null("slide_id", fields.text),
        state=fields.word("state", State),
        revision=fields.whole("revision", low=1),
        replaces=fields.or_null("replaces", fields.text),
        reason=fields.or_null("reason", fields.text),
        completed=fields.moment("completed"),
        collected=fields.or_null("collected", fields.moment),
        verification=fields.or_null("verification", lambda key: _verification(fields.inner(key))),
        differential=_differential(fields.inner("differential")),
        models=fields.each("models", _model),
        rejected_images=fields.texts("rejected_images"),
        cells=fields.each("cells", _cell),
    )
    fields.close()
    if ids != (result.result_id, result.slide_key):
        raise ValueError("result_id or slide_key does not follow from sample, slide and revision")
    if problem := inconsistency(result):
        raise ValueError(problem)
    return result


def _verification(fields: StrictFields) -> Verification:
    by = fields.inner("by")
    person = Person(id=by.text("id"), name=by.text("name"))
    by.close()
    found = Verification(person, at=fields.moment("at"), note=fields.any_text("note"))
    fields.close()
    return found


def _differential(fields: StrictFields) -> Differential:
    found = Differential(
        leukocytes=fields.whole("leukocytes"),
        classes=fields.each("classes", _class),
        erythroblasts=_erythroblasts(fields.inner("erythroblasts")),
        platelets=fields.whole("platelets"),
        unidentified=fields.whole("unidentified"),
        rejected=fields.whole("rejected"),
        wbc=fields.or_null("wbc", fields.number),
        errors_from=fields.any_text("errors_from"),
        flags=fields.each("flags", _flag),
    )
    fields.close()
    return found


def _class(fields: StrictFields) -> ClassResult:
    found = ClassResult(
        name=fields.word("name", LEUKOCYTES),
        count=fields.whole("count"),
        percent=fields.or_null("percent", lambda key: fields.whole(key, high=100)),
        share=fields.or_null("share", lambda key: fields.number(key, high=100)),
        sampling=_interval(fields, "sampling"),
        with_errors=_interval(fields, "with_errors"),
        absolute=fields.or_null("absolute", fields.number),
    )
    fields.close()
    return found


def _erythroblasts(fields: StrictFields) -> Erythroblasts:
    found = Erythroblasts(
        count=fields.whole("count"),
        per_100_wbc=fields.or_null("per_100_wbc", fields.number),
        sampling=_interval(fields, "sampling"),
        with_errors=_interval(fields, "with_errors"),
    )
    fields.close()
    return found


def _interval(fields: StrictFields, key: str) -> Interval | None:
    limits = fields.or_null(key, fields.inner)
    if limits is None:
        return None
    low = limits.number("low")
    found = Interval(low, limits.number("high", low=low))
    limits.close()
    return found


def _flag(fields: StrictFields) -> Flag:
    found = Flag(fields.word("code", FlagCode), fields.text("text"))
    fields.close()
    return found


def _model(fields: StrictFields) -> ModelIdentity:
    found = ModelIdentity(
        fields.text("name"), fields.text("version"), fields.sha256("bundle_sha256")
    )
    fields.close()
    return found


def _cell(fields: StrictFields) -> ResultCell:
    found = ResultCell(
        image=fields.text("image"),
        sha256=fields.sha256("sha256"),
        suggested=fields.or_null("suggested", fields.text),
        confidence=fields.number("confidence", high=1),
        label=fields.or_null("label", fields.text),
        reviewed_by=fields.or_null("reviewed_by", fields.text),
        is_familiar=fields.or_null("is_familiar", fields.boolean),
        unfamiliar=fields.text_or_missing("unfamiliar"),
        during_drift=fields.true_or_missing("during_drift"),
    )
    fields.close()
    return found
