"""The two formats, and what neither can carry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from edge.results.document.ids import unfit_id
from edge.results.document.result import SlideResult, State
from edge.results.formats.codes import PANEL
from edge.results.formats.fhir.bundle import bundle, to_json
from edge.results.formats.fhir.elements import is_string
from edge.results.formats.fhir.source import Receiver, source
from edge.results.formats.format import Context, Format
from edge.results.formats.observed import observed

# Of `analyzer_results.accession_number`.
LONGEST_ACCESSION: Final = 25


def _misfit(receiver: Receiver) -> Callable[[SlideResult, Context], str | None]:
    def misfit(result: SlideResult, context: Context) -> str | None:
        return next(_misfits(result, context, receiver), None)

    return misfit


def _misfits(result: SlideResult, context: Context, receiver: Receiver) -> Iterator[str]:
    yield from _of_ids(result, receiver)
    yield from _of_state(result)
    if context.codes.code(PANEL, result.state) is None:
        yield f"the code map has no panel for {result.state.value} results, a report needs one"
    if not observed(result, context.codes):
        yield "the code map has no code for any value of the result"
    for name, text in _texts(result, context):
        if not is_string(text):
            yield f"the {name} is empty or has a control character, which FHIR cannot carry"


def _of_ids(result: SlideResult, receiver: Receiver) -> Iterator[str]:
    for name, text in (("sample", result.sample_id), ("slide", result.slide_id)):
        if text is not None and (why := unfit_id(text)):
            yield f"the {name}'s id {why}"
    length = len(result.sample_id)
    if receiver is Receiver.OPENELIS and length > LONGEST_ACCESSION:
        yield f"the sample's id has {length} characters, OpenELIS keeps {LONGEST_ACCESSION}"


def _of_state(result: SlideResult) -> Iterator[str]:
    if (result.verification is None) != (result.state is State.PRELIMINARY):
        yield f"the result is {result.state.value}, which contradicts who verified it"
    if result.state is State.CORRECTED and not (result.replaces and result.reason):
        yield "the result is a correction, but does not say of which result and why"


def _texts(result: SlideResult, context: Context) -> Iterator[tuple[str, str]]:
    """All texts that come from elsewhere, and what they are. What may be empty is left out."""
    yield "identifier of the workstation", context.site.device
    for one in observed(result, context.codes):
        yield f"display of {one.code.analyte!r} in the code map", one.code.display
    for model in result.models:
        yield "name of a model", model.name
        yield "version of a model", model.version
        yield "hash of a model's bundle", model.bundle_sha256
    yield "source of the intervals", result.differential.errors_from
    for flag in result.differential.flags:
        yield f"text of flag {flag.code.value}", flag.text
    if result.verification is not None:
        yield "id of the person who verified", result.verification.by.id
        yield "name of the person who verified", result.verification.by.name
    for reviewer in {cell.reviewed_by for cell in result.cells}:
        if reviewer is not None:
            yield "id of a person who reviewed cells", reviewer
    notes = (
        ("note of the verification", result.verification.note if result.verification else ""),
        ("reason of the correction", result.reason or ""),
        ("name of the application", context.site.application),
        ("name of the laboratory", context.site.facility),
    )
    yield from ((name, text) for name, text in notes if text)


def _write(receiver: Receiver) -> Callable[[SlideResult, Context], bytes]:
    def write(result: SlideResult, context: Context) -> bytes:
        return to_json(bundle(source(result, context, receiver)))

    return write


def _form(receiver: Receiver) -> Format:
    return Format(receiver.value, ".fhir.json", _misfit(receiver), _write(receiver))


FHIR: Final = _form(Receiver.SERVER)
FHIR_OPENELIS: Final = _form(Receiver.OPENELIS)
