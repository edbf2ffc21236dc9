"""Results that an HL7 message cannot carry unaltered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge.results.document.ids import unfit_id
from edge.results.document.result import SlideResult, State
from edge.results.formats.codes import ANALYTES, PANEL, CodeMap
from edge.results.formats.format import Context, Site
from edge.results.formats.hl7.segment import DELIMITERS

# Lengths of v2.5.1: OBR-3 (EI), OBR-20 (ST), XCN-1 and CNN-1, CNN-2, OBX-18 (EI), HD-1, CE-4.
# A receiver may cut what is longer, and a cut id can be another patient's.
_SAMPLE_LENGTH: Final = 22
_SLIDE_LENGTH: Final = 60
_PERSON_ID_LENGTH: Final = 15
_PERSON_NAME_LENGTH: Final = 50
_DEVICE_LENGTH: Final = 22
_NAMESPACE_LENGTH: Final = 20
_CODE_LENGTH: Final = 20
# Two quotes alone mean "delete what you have".
_NULL: Final = '""'


def misfit(result: SlideResult, context: Context) -> str | None:
    """Why no message can carry this result, in one line without the patient's ids; or None."""
    return next(_misfits(result, context), None)


def _misfits(result: SlideResult, context: Context) -> Iterator[str]:
    yield from _of_id("sample", result.sample_id, _SAMPLE_LENGTH)
    if result.slide_id is not None:
        yield from _of_id("slide", result.slide_id, _SLIDE_LENGTH)
    yield from _of_codes(result, context.codes)
    yield from _of_site(context.site)
    if result.state is not State.PRELIMINARY:
        yield from _of_verification(result)
    if result.state is State.CORRECTED and not (result.replaces and result.reason):
        yield "the result is a correction, but does not say of which result and why"


def _of_id(whose: str, value: str, longest: int) -> Iterator[str]:
    if why := unfit_id(value):
        yield f"the {whose}'s id {why}"
    if value == _NULL:
        yield f"the {whose}'s id is two quotes, which delete a value in HL7"
    if found := [character for character in DELIMITERS if character in value]:
        # It could be escaped, but many receivers do not read it back.
        yield f"the {whose}'s id has the character {found[0]}, a delimiter of HL7"
    if len(value) > longest:
        yield f"the {whose}'s id has {len(value)} characters, HL7 v2.5.1 takes at most {longest}"


def _of_codes(result: SlideResult, codes: CodeMap) -> Iterator[str]:
    if codes.code(PANEL, result.state) is None:
        yield "the code map has no panel for this state, and a message needs one: add it to the map"
    for analyte in ANALYTES:
        code = codes.code(analyte, result.state)
        if code:
            yield from _too_long(f"the local code of {analyte}", code.local, _CODE_LENGTH)


def _of_site(site: Site) -> Iterator[str]:
    names = {
        "application": site.application,
        "facility": site.facility,
        "receiver application": site.receiver_application,
        "receiver facility": site.receiver_facility,
    }
    for what, value in names.items():
        yield from _too_long(f"the site's {what}", value, _NAMESPACE_LENGTH)
    yield from _too_long("the site's device", site.device, _DEVICE_LENGTH)


def _of_verification(result: SlideResult) -> Iterator[str]:
    if result.verification is None:
        yield "the result is not preliminary, but names nobody who verified it"
        return
    by = result.verification.by
    yield from _too_long("the id of who verified", by.id, _PERSON_ID_LENGTH)
    yield from _too_long("the name of who verified", by.name, _PERSON_NAME_LENGTH)


def _too_long(what: str, value: str, longest: int) -> Iterator[str]:
    if len(value) > longest:
        yield f"{what} has {len(value)} characters, HL7 v2.5.1 takes at most {longest}: shorten it"
