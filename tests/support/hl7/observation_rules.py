"""What is asked of the OBX segments: values of their type, codes, units, states, sums."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.hl7.reading import Segment

_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_LONGEST = {"NM": 16, "CE": 250, "ST": 199, "TX": 64_000}
_CODE_LENGTH = 20
_OWN = "99EDGE"
# LOINC codes of each unit, by hand from LOINC's own table.
_PERCENTS = "26511-6 26450-7 30180-4 26478-8 26485-3 38518-7", "23761-0 714-6 707-0 737-7 744-3"
_NUMBERS = "26499-4 26449-9 26444-0 26474-7 26484-6 51584-1", "753-4 712-0 705-4 732-8 743-5"
_RATIOS = "19048-8", "18309-5"
_CELLS_COUNTED = "11282-1"
_MANUAL = {code for kind in (_PERCENTS, _NUMBERS, _RATIOS) for code in kind[1].split()}
# There is none for a manual count of immature granulocytes.
_WITHOUT_MANUAL = {"38518-7", "51584-1", _CELLS_COUNTED, "104705-9"}
_UNITS = {
    **{code: "%" for codes in _PERCENTS for code in codes.split()},
    **{code: "10*9/L" for codes in _NUMBERS for code in codes.split()},
    **dict.fromkeys(_RATIOS, "/100{WBCs}"),
    _CELLS_COUNTED: "{#}",
    "104705-9": "",
}


def of_observations(observed: list[Segment], obr: Segment) -> Iterator[str]:
    """What is wrong with the OBX segments of one order."""
    if [obx[1] for obx in observed] != [str(n + 1) for n in range(len(observed))]:
        yield "OBX-1 does not count from 1"
    codes = [(obx.part(3, 1), obx[4]) for obx in observed]
    if len(set(codes)) < len(codes):
        yield "two OBX have the same code: a receiver keeps one of them"
    for obx in observed:
        yield from _of_value(obx)
        yield from _of_code(obx, obr[25])
        yield from _of_state(obx, obr)
    yield from _of_sums({obx.part(3, 1): obx[5] for obx in observed if obx[2] == "NM"})
    if obr[25] == "C" and not {"REPLACES", "REASON"} <= {code for code, _ in codes}:
        yield "a correction does not say what it replaces and why"


def _of_value(obx: Segment) -> Iterator[str]:
    value, kind = obx[5], obx[2]
    if kind not in _LONGEST:
        yield f"OBX-2 is {kind}, not NM, CE, ST or TX"
    elif not value or "~" in value or len(value) > _LONGEST[kind]:
        yield f"OBX-5 is empty, repeated or too long for {kind}"
    elif kind == "NM" and not _NUMBER.fullmatch(value):
        yield "OBX-5 is no number"
    elif kind == "CE" and not (obx.part(5, 1) and obx.part(5, 3)):
        yield "OBX-5 lacks its code or the coding system"
    elif kind in {"ST", "TX"} and re.search(r"[\^&]", value):
        yield "OBX-5 has components, but is text"


def _of_code(obx: Segment, status: str) -> Iterator[str]:
    code, system, unit = obx.part(3, 1), obx.part(3, 3), obx.part(6, 1)
    if len(code) > _CODE_LENGTH or not obx.part(3, 2) or len(obx[3]) > 250:
        yield "OBX-3 is too long or lacks its text"
    if (unit != "") != (obx[2] == "NM") or (unit and obx.part(6, 3) != "UCUM"):
        yield "OBX-6 is not a unit of UCUM for a number, and empty for what is none"
    if system == _OWN:
        return
    if system != "LN" or not has_right_check_digit(code):
        yield f"OBX-3 has {code} of {system}, which is no LOINC code"
    elif code not in _UNITS or unit != _UNITS[code]:
        yield f"the unit {unit} does not belong to {code}"
    if status == "P" and code in _MANUAL:
        yield f"{code} is a manual count, but nobody verified"
    if status in {"F", "C"} and code not in _MANUAL | _WITHOUT_MANUAL:
        yield f"{code} leaves the method open, but a person verified"


def _of_state(obx: Segment, obr: Segment) -> Iterator[str]:
    if obx[11] != obr[25]:
        yield "OBX-11 differs from OBR-25"
    if obx[7] or obx[8]:
        yield "OBX-7 or OBX-8 says something of a reference range"
    if obx[14] != obr[22]:
        yield "OBX-14 differs from the time of the result"
    is_machine = obx.part(17, 4) == "AIAST"
    if not obx[17] or is_machine != (obx[11] == "P"):
        yield "OBX-17 does not say whether the value is the machine's alone"
    if (obx[16] != "") != (obx[11] in {"F", "C"}) or len(obx.part(16, 1)) > 15:
        yield "OBX-16 names a verifier although nobody verified, or names none"
    if not obx[18] or len(obx[18]) > 22:
        yield "OBX-18 is empty or too long"


def _of_sums(values: dict[str, str]) -> Iterator[str]:
    try:
        numbers = {code: float(value) for code, value in values.items()}
    except ValueError:
        return
    percents = [numbers[c] for kind in _PERCENTS for c in kind.split() if c in numbers]
    if percents and (len(percents) != 6 or sum(percents) != 100):
        yield "the percentages are not six that sum to 100"
    counted = [numbers.get(f"{n}-CELLS", 0) for n in ["NEUT", "EOS", "BASO", "LYMPH", "MONO", "IG"]]
    if sum(counted) != numbers.get(_CELLS_COUNTED, -1):
        yield "the cells of the classes are not the cells counted"
    for code, low in numbers.items():
        if code.endswith("-LOW") and not low <= numbers.get(f"{code[:-4]}-HIGH", -1):
            yield f"{code} has no higher limit"


def has_right_check_digit(code: str) -> bool:
    """Luhn's rule, by which the last digit of a LOINC code is made."""
    if not re.fullmatch(r"\d{1,7}-\d", code, re.ASCII):
        return False
    total = 0
    for place, character in enumerate(reversed(code.replace("-", ""))):
        digit = int(character)
        total += digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4)
    return total % 10 == 0
