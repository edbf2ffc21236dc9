"""Libraries that read a message back: hl7apy for its structure, python-hl7 for its values."""

from __future__ import annotations

import hl7
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message


def refused_by_hl7apy(message: bytes) -> str | None:
    """Why hl7apy refuses a message; None if it takes it. It needs most of a second."""
    try:
        parse_message(message.decode(), find_groups=True).validate()
    except HL7apyException as error:
        return str(error)
    return None


def values_of_python_hl7(message: bytes) -> dict[str, str]:
    """Values by code, unescaped by python-hl7, with the first component of coded ones."""
    parsed = hl7.parse(message.decode())
    return {
        str(obx[3][0][0]): parsed.unescape(str(obx[5][0][0] if obx[2][0] == "CE" else obx[5]))
        for obx in parsed.segments("OBX")
    }


def sample_of_python_hl7(message: bytes) -> str:
    """OBR-3, unescaped by python-hl7."""
    parsed = hl7.parse(message.decode())
    return str(parsed.unescape(str(parsed.segment("OBR")[3])))
