"""Libraries that read messages back: hl7apy the structure, python-hl7 and simple-hl7 the values."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hl7
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

from tests.support.npm import npm_folder

SIMPLE_HL7: Final = Path(__file__).with_name("simple_hl7")


@dataclass(frozen=True, slots=True)
class Message:
    """What simple-hl7 reads: MSH-10, OBR-3, and by code the first components of OBX-5 and OBX-6."""

    control_id: str
    sample: str
    values: dict[str, str]
    units: dict[str, str]


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


def read_by_simple_hl7(messages: Sequence[bytes]) -> list[Message]:
    """Each message, unescaped nowhere. One process reads all."""
    done = subprocess.run(
        ["node", "read.js"],
        cwd=npm_folder(SIMPLE_HL7),
        input=json.dumps([message.decode() for message in messages]),
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        Message(
            one["id"],
            one["sample"],
            {code: value for code, value, _ in one["rows"]},
            {code: unit for code, _, unit in one["rows"]},
        )
        for one in json.loads(done.stdout)
    ]
