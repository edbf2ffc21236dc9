"""A slide's result as ORU^R01 and as OUL^R22, the two messages that carry laboratory results."""

from __future__ import annotations

from typing import Final

import edge
from edge.results.document.result import SlideResult, State
from edge.results.formats.codes import PANEL
from edge.results.formats.format import Context, Format, Site
from edge.results.formats.hl7.misfit import misfit
from edge.results.formats.hl7.observations import OWN_SYSTEM, coded, observations
from edge.results.formats.hl7.segment import (
    components,
    message,
    segment,
    subcomponents,
    text,
    timestamp,
)

VERSION: Final = "2.5.1"
_VENDOR: Final = "microscope-edge"
# Tables 0085 and 0123. Many receivers take only these three.
_STATUS: Final = {State.PRELIMINARY: "P", State.FINAL: "F", State.CORRECTED: "C"}
_METHODS: Final = {
    # AIAST is the code of HL7's terminology for what a machine asserted.
    True: components(
        *("AI-SUGGESTED", "AI, not verified", OWN_SYSTEM),
        *("AIAST", "", "v3-ObservationValue"),
    ),
    False: components("AI-VERIFIED", "AI, verified", OWN_SYSTEM),
}
# Limits of SFT-2, -3 and -4; SFT-5 has the whole.
_VERSION_LENGTH: Final = 15
_NAME_LENGTH: Final = 20


def write_oru(result: SlideResult, context: Context) -> bytes:
    """ORU^R01: unsolicited result. The PATIENT group is left out: we know only the sample."""
    return message(
        [
            *_head(result, context.site, "ORU", "R01"),
            *_order(result, context),
            *_observed(result, context),
            _specimen(result),
        ]
    )


def write_oul(result: SlideResult, context: Context) -> bytes:
    """OUL^R22: unsolicited, by specimen and container; the container is the slide."""
    return message(
        [
            *_head(result, context.site, "OUL", "R22"),
            _specimen(result),
            *_container(result),
            *_order(result, context),
            *_observed(result, context),
        ]
    )


ORU: Final = Format("hl7-oru", ".hl7", misfit, write_oru)
OUL: Final = Format("hl7-oul", ".hl7", misfit, write_oul)


def _head(result: SlideResult, site: Site, code: str, event: str) -> list[str]:
    fields = {
        3: text(site.application),
        4: text(site.facility),
        5: text(site.receiver_application),
        6: text(site.receiver_facility),
        # Not the time of writing: the same result must give the same bytes.
        7: timestamp(result.completed),
        9: components(code, event, f"{code}_{event}"),
        10: result.result_id,
        11: "P",
        12: VERSION,
        18: "UNICODE UTF-8",
    }
    return [segment("MSH", fields), *_software(result)]


def _software(result: SlideResult) -> list[str]:
    version = edge.__version__
    lines = [_sft(version, _VENDOR, version, f"{_VENDOR} {version}")]
    for model in result.models:
        whole = f"model {model.name} {model.version}, bundle SHA-256 {model.bundle_sha256}"
        lines.append(_sft(model.version, model.name, model.bundle_sha256, whole))
    return lines


def _sft(version: str, name: str, binary: str, whole: str) -> str:
    fields = {
        1: text(_VENDOR),
        2: text(version[:_VERSION_LENGTH]),
        3: text(name[:_NAME_LENGTH]),
        4: text(binary[:_NAME_LENGTH]),
        5: text(whole),
    }
    return segment("SFT", fields)


def _order(result: SlideResult, context: Context) -> list[str]:
    panel = context.codes.code(PANEL, result.state)
    completed = timestamp(result.completed)
    fields = {
        1: "1",
        # Bare: the OpenELIS bridge takes the whole field as the accession.
        3: text(result.sample_id),
        4: coded(panel) if panel else "",
        # When the blood was taken. The field must be filled in; without a manifest that says it,
        # by the time of the result, as analyzers do.
        7: timestamp(result.collected) if result.collected else completed,
        20: text(result.slide_id or ""),
        22: completed,
        24: "HM",
        25: _STATUS[result.state],
    }
    if result.state is not State.PRELIMINARY and result.verification:
        by = result.verification.by
        fields[32] = subcomponents(by.id, by.name)
    return [segment("OBR", fields), *_notes(result)]


def _notes(result: SlideResult) -> list[str]:
    return [
        segment("NTE", {1: str(number), 2: "L", 3: text(note)})
        for number, note in enumerate(_comments(result), start=1)
    ]


def _comments(result: SlideResult) -> list[str]:
    models = ", ".join(f"{model.name} {model.version}" for model in result.models)
    if result.state is State.PRELIMINARY:
        return [f"Labels suggested by the model {models}. Not verified by a person."]
    comments = [f"Labels suggested by the model {models}. Verified by a person."]
    if result.state is State.CORRECTED:
        comments.append(f"Corrects {result.replaces}: {result.reason}")
    if result.verification and result.verification.note:
        comments.append(result.verification.note)
    return comments


def _observed(result: SlideResult, context: Context) -> list[str]:
    is_preliminary = result.state is State.PRELIMINARY
    common = {
        11: _STATUS[result.state],
        14: timestamp(result.completed),
        17: _METHODS[is_preliminary],
        18: text(context.site.device),
    }
    if not is_preliminary and result.verification:
        common[16] = components(result.verification.by.id, result.verification.by.name)
    return [
        segment(
            "OBX",
            common
            | {
                1: str(number),
                2: found.value_type,
                3: found.code,
                5: found.value,
                6: f"{text(found.unit)}^^UCUM" if found.unit else "",
            },
        )
        for number, found in enumerate(observations(result, context.codes), start=1)
    ]


def _specimen(result: SlideResult) -> str:
    fields = {
        1: "1",
        2: text(result.sample_id),
        4: components("BLD", "Whole blood", "HL70487"),
        # A patient's specimen, and not a control.
        11: components("P", "Patient specimen", "HL70369"),
        17: timestamp(result.collected) if result.collected else "",
    }
    return segment("SPM", fields)


def _container(result: SlideResult) -> list[str]:
    return [segment("SAC", {3: text(result.slide_id)})] if result.slide_id else []
