"""What a message says about its acknowledgement, and what an acknowledgement says (HL7 v2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from edge.results.send.targets.attempt import Fate

_BREAK: Final = re.compile(rb"[\r\n]+")
# MSA-1, HL7 table 0008: original mode, then enhanced mode.
FATES: Final = {
    "AA": Fate.DONE,
    "AE": Fate.AGAIN,
    "AR": Fate.REFUSED,
    "CA": Fate.DONE,
    "CE": Fate.AGAIN,
    "CR": Fate.REFUSED,
}
_LONGEST_DETAIL: Final = 300


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send, and what its answer must name.

    Attributes:
        control_id: MSH-10.
        wants_application: whether MSH-16 asks for a second answer, after that of the transport.
    """

    content: bytes
    control_id: bytes
    wants_application: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """An acknowledgement: MSA-1, MSA-2 and the receiver's words."""

    code: str
    control_id: bytes
    detail: str


def outgoing(content: bytes) -> Outgoing:
    """Read what is needed of a message before it is sent.

    Raises:
        ValueError: it is no HL7 message with an id, or cannot be framed.
    """
    segment = _BREAK.split(content, maxsplit=1)[0]
    if segment[:3] != b"MSH" or len(segment) < 4:
        raise ValueError("it does not begin with MSH")
    if b"\x0b" in content or b"\x1c" in content:
        raise ValueError("it contains a byte that frames messages")
    fields = segment.split(segment[3:4])
    control_id = _field(fields, 9)
    if not control_id:
        raise ValueError("its MSH-10 is empty, so that no answer could name it")
    return Outgoing(content, control_id, _field(fields, 15) == b"AL")


def read_answer(frame: bytes) -> Answer:
    """Read an acknowledgement.

    Raises:
        ValueError: it is none, or does not say clearly of which message.
    """
    segments = _BREAK.split(frame)
    header = segments[0]
    if header[:3] != b"MSH" or len(header) < 4:
        raise ValueError("the answer does not begin with MSH")
    separator = header[3:4]
    found = [s.split(separator) for s in segments if s.startswith(b"MSA" + separator)]
    if len(found) != 1:
        raise ValueError(f"the answer has {len(found)} MSA segments in place of one")
    code = _field(found[0], 1).decode("ascii", "replace")
    if code not in FATES:
        raise ValueError("the answer's MSA-1 is none of " + ", ".join(FATES))
    words = [found[0][3]] if len(found[0]) > 3 else []
    words += [s for s in segments if s.startswith(b"ERR" + separator)]
    detail = b" ".join(filter(None, words)).decode("utf-8", "replace")[:_LONGEST_DETAIL]
    return Answer(code, _field(found[0], 2), detail)


def _field(fields: list[bytes], number: int) -> bytes:
    return fields[number] if number < len(fields) else b""
