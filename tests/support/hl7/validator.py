"""What HL7 v2.5.1 and the codes ask of our messages, where hl7apy looks at structure only.

Written from the standard's chapters 2, 4, 7 and 13 and from LOINC's table, not from the product.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.hl7.observation_rules import of_observations
from tests.support.hl7.reading import Segment, has_broken_escape, read

ORDER = {
    "ORU^R01^ORU_R01": re.compile(r"MSH( SFT)+ OBR( NTE)+( OBX)+ SPM"),
    "OUL^R22^OUL_R22": re.compile(r"MSH( SFT)+ SPM( SAC)? OBR( NTE)+( OBX)+"),
}
TIME = re.compile(
    r"\d{4}(0[1-9]|1[0-2])([0-2]\d|3[01])([01]\d|2[0-3])[0-5]\d[0-5]\d\.\d{3}[+-]\d{4}"
)
_MESSAGE_ID = re.compile(r"[0-9A-Z]{1,20}")
_SFT_LENGTHS = {2: 15, 3: 20, 4: 20}
_VERIFIED_PANEL = "24318-8"
_UNVERIFIED_PANEL = "69738-3"


def faults(message: bytes) -> list[str]:
    """What is wrong with a message; empty if nothing is."""
    try:
        text = message.decode()
    except UnicodeDecodeError:
        return ["the message is not UTF-8"]
    if not text.endswith("\r") or text.endswith("\r\r"):
        return ["the last segment is not ended by one carriage return"]
    if re.search(r"[\x00-\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]", text):
        return ["a control character is in a segment"]
    segments = read(message)
    if segments[0].name != "MSH" or segments[0].fields[0] != "^~\\&":
        return ["the message does not begin with an MSH of the usual delimiters"]
    return list(_of_segments(segments))


def _of_segments(segments: list[Segment]) -> Iterator[str]:
    order = ORDER.get(segments[0][9])
    if order is None or not order.fullmatch(" ".join(s.name for s in segments)):
        yield "the segments are not those of the message type, in its order"
        return
    for segment in segments:
        fields = segment.fields[1:] if segment.name == "MSH" else segment.fields
        if any(has_broken_escape(field) for field in fields):
            yield f"{segment.name} has a backslash that begins no escape sequence"
    first = {segment.name: segment for segment in reversed(segments)}
    yield from _of_header(first["MSH"])
    yield from _of_software([s for s in segments if s.name == "SFT"])
    yield from _of_order(first["OBR"])
    yield from _of_specimen(first["SPM"], first["OBR"])
    yield from _of_notes(segments, first["OBR"][25])
    yield from of_observations([s for s in segments if s.name == "OBX"], first["OBR"])


def _of_header(msh: Segment) -> Iterator[str]:
    if not msh[3] or len(msh.part(3, 1)) > 20:
        yield "MSH-3 is empty or longer than 20 characters"
    if not TIME.fullmatch(msh[7]):
        yield "MSH-7 is no time with an offset"
    if not _MESSAGE_ID.fullmatch(msh[10]):
        yield "MSH-10 is not 1 to 20 letters and digits"
    expected = {11: "P", 12: "2.5.1", 18: "UNICODE UTF-8"}
    for number, value in expected.items():
        if msh[number] != value:
            yield f"MSH-{number} is not {value}"


def _of_software(software: list[Segment]) -> Iterator[str]:
    for sft in software:
        if not all(sft[number] for number in (1, 2, 3, 4)):
            yield "SFT lacks a required field"
        if any(len(sft[number]) > longest for number, longest in _SFT_LENGTHS.items()):
            yield "SFT has a field that is too long"


def _of_order(obr: Segment) -> Iterator[str]:
    if not obr[3] or len(obr[3]) > 22 or re.search(r"[\^&~\\]", obr[3]):
        yield "OBR-3 is not a bare id of at most 22 characters"
    status = obr[25]
    if status not in {"P", "F", "C"}:
        yield "OBR-25 is not P, F or C"
    panel = _UNVERIFIED_PANEL if status == "P" else _VERIFIED_PANEL
    if obr.part(4, 1) != panel or obr.part(4, 3) != "LN":
        yield "OBR-4 is not the panel of this status"
    if not TIME.fullmatch(obr[7]) or not TIME.fullmatch(obr[22]):
        yield "OBR-7 or OBR-22 is no time with an offset"
    if obr[24] != "HM":
        yield "OBR-24 is not haematology"
    if bool(obr[32]) != (status in {"F", "C"}):
        yield "OBR-32 names a verifier although nobody verified, or names none"
    if "^" in obr[32] or len(obr[32].split("&")[0]) > 15:
        yield "OBR-32 is not id and name as subcomponents"


def _of_specimen(spm: Segment, obr: Segment) -> Iterator[str]:
    if spm[2] != obr[3]:
        yield "SPM-2 is another sample than OBR-3"
    if spm[17] and (spm[17] != obr[7] or not TIME.fullmatch(spm[17])):
        yield "SPM-17 is no time with an offset, or another than OBR-7"
    if (spm.part(4, 1), spm.part(4, 3)) != ("BLD", "HL70487"):
        yield "SPM-4 is not whole blood of table 0487"
    if (spm.part(11, 1), spm.part(11, 3)) != ("P", "HL70369"):
        yield "SPM-11 is not a patient's specimen of table 0369"


def _of_notes(segments: list[Segment], status: str) -> Iterator[str]:
    notes = [segment for segment in segments if segment.name == "NTE"]
    if [note[1] for note in notes] != [str(n + 1) for n in range(len(notes))]:
        yield "NTE-1 does not count from 1"
    if any(note[2] != "L" or not note[3] for note in notes):
        yield "NTE lacks its source or its text"
    if ("Not verified by a person" in notes[0][3]) != (status == "P"):
        yield "the first note does not say whether a person verified"
    if status == "C" and not notes[1:]:
        yield "a correction has no note that says what it corrects and why"
