"""Faults to plant in a good message: each must be refused by a judge."""

from __future__ import annotations

from collections.abc import Callable

from edge.results.document.result import State

P, F, C = State.PRELIMINARY, State.FINAL, State.CORRECTED
# Changes a message, given as its segments.
Fault = Callable[[list[str]], list[str]]


def planted(message: bytes, fault: Fault) -> bytes:
    """The message with the fault in it."""
    segments = message.decode().removesuffix("\r").split("\r")
    changed = fault(list(segments))
    assert changed != segments
    return "".join(f"{line}\r" for line in changed).encode()


def field(name: str, number: int, value: str, *, code: str = "") -> Fault:
    """Put a value in a field of the first segment of that name, or of the OBX with that code."""

    def change(segments: list[str]) -> list[str]:
        at = _position(segments, name, code)
        fields = segments[at].split("|")
        index = number - 1 if name == "MSH" else number
        fields += [""] * (index + 1 - len(fields))
        fields[index] = value
        segments[at] = "|".join(fields)
        return segments

    return change


def replaced(old: str, new: str) -> Fault:
    """Replace a text at its first place."""

    def change(segments: list[str]) -> list[str]:
        at = next(n for n, line in enumerate(segments) if old in line)
        segments[at] = segments[at].replace(old, new, 1)
        return segments

    return change


def removed(name: str, *, code: str = "") -> Fault:
    """Take out the first segment of that name, or the OBX with that code."""

    def change(segments: list[str]) -> list[str]:
        del segments[_position(segments, name, code)]
        return segments

    return change


def moved(name: str, before: str) -> Fault:
    """Move the first segment of a name before the first one of another."""

    def change(segments: list[str]) -> list[str]:
        line = segments.pop(_position(segments, name, ""))
        segments.insert(_position(segments, before, ""), line)
        return segments

    return change


def added(line: str, before: str) -> Fault:
    """Put in a segment before the first one of a name."""

    def change(segments: list[str]) -> list[str]:
        segments.insert(_position(segments, before, ""), line)
        return segments

    return change


def _position(segments: list[str], name: str, code: str) -> int:
    start = f"{name}|"
    return next(
        n
        for n, line in enumerate(segments)
        if line.startswith(start) and (not code or line.split("|")[3].startswith(f"{code}^"))
    )


# In which state, and what. The codes are those of the map that we ship.
FAULTS: dict[str, tuple[State, Fault]] = {
    "value type that does not exist": (P, field("OBX", 2, "ZZ")),
    "value type that is another's": (P, field("OBX", 2, "CE")),
    "number in words": (P, field("OBX", 5, "sixty")),
    "decimal comma": (P, field("OBX", 5, "59,5")),
    "number with a comparator": (P, field("OBX", 5, "<1")),
    "number with its unit": (P, field("OBX", 5, "60 %")),
    "not a number": (P, field("OBX", 5, "nan")),
    "empty value": (P, field("OBX", 5, "")),
    "two values in one": (P, field("OBX", 5, "60~61")),
    "percentages of 101": (P, field("OBX", 5, "61", code="26511-6")),
    "class left out": (P, removed("OBX", code="26450-7")),
    "coded value without its system": (P, field("OBX", 5, "Present", code="104705-9")),
    "no status": (P, field("OBX", 11, "")),
    "status that receivers refuse": (P, field("OBX", 11, "X")),
    "status above that of the order": (P, field("OBX", 11, "F")),
    "status that does not exist": (F, field("OBR", 25, "V")),
    "wrong check digit": (F, replaced("23761-0^", "23761-1^")),
    "code of another unit": (P, field("OBX", 3, "751-8^Neutrophils^LN")),
    "unit of another code": (P, field("OBX", 6, "10*9/L^^UCUM")),
    "unit without its system": (P, field("OBX", 6, "%")),
    "no unit": (P, field("OBX", 6, "")),
    "manual code, unverified": (P, replaced("26511-6^", "23761-0^")),
    "manual panel, unverified": (P, replaced("69738-3^", "24318-8^")),
    "open panel, verified": (F, replaced("24318-8^", "69738-3^")),
    "local code that is too long": (P, replaced("NEUT-CELLS^", "NEUTROPHILS-THAT-WERE-COUNTED^")),
    "limit under the value's code": (P, replaced("NEUT-SAMPLING-LOW^", "26511-6^")),
    "limits the wrong way round": (P, field("OBX", 5, "101", code="NEUT-SAMPLING-LOW")),
    "limits as a reference range": (P, field("OBX", 7, "53-67")),
    "flag of a reference range": (P, field("OBX", 8, "N")),
    "observations not counted": (P, field("OBX", 1, "7")),
    "machine's label not marked": (P, field("OBX", 17, "")),
    "no time of observation": (P, field("OBX", 14, "")),
    "no device": (P, field("OBX", 18, "")),
    "verified by nobody": (F, field("OBR", 32, "")),
    "observed by nobody": (F, field("OBX", 16, "")),
    "verifier, unverified": (P, field("OBR", 32, "amu&Anna Muster")),
    "verifier in components": (F, field("OBR", 32, "amu^Anna Muster")),
    "correction of what": (C, removed("OBX", code="REPLACES")),
    "correction without a reason": (C, removed("OBX", code="REASON")),
    "no note": (P, removed("NTE")),
    "note that a person verified": (P, replaced("Not verified", "Verified")),
    "no sample": (P, field("OBR", 3, "")),
    "sample with a component": (P, field("OBR", 3, "S000123^LAB")),
    "sample with an escape": (P, field("OBR", 3, "S000\\S\\123")),
    "sample that is too long": (P, field("OBR", 3, "S" * 23)),
    "another specimen": (P, field("SPM", 2, "S000124")),
    "collected at another time": (P, field("SPM", 17, "20010101000000.000+0000")),
    "collected on a day without offset": (P, field("OBR", 7, "20261127")),
    "specimen of no type": (P, field("SPM", 4, "")),
    "control specimen": (P, field("SPM", 11, "Q^Control specimen^HL70369")),
    "no message id": (P, field("MSH", 10, "")),
    "message id that is too long": (P, field("MSH", 10, "A" * 21)),
    "time without its offset": (P, field("MSH", 7, "20261127091403")),
    "time of day that is none": (P, field("MSH", 7, "20261127251403.131+0100")),
    "other version": (P, field("MSH", 12, "2.3.1")),
    "no character set": (P, field("MSH", 18, "")),
    "other message type": (P, field("MSH", 9, "ORM^O01^ORM_O01")),
    "other delimiters": (P, replaced("^~\\&", "^~\\@")),
    "no vendor of the software": (P, field("SFT", 1, "")),
    "broken escape": (P, field("NTE", 3, "Not verified by a person\\Q")),
    "line breaks instead of segments": (P, lambda lines: ["\n".join(lines)]),
    "segments with a line feed": (P, lambda lines: [f"{line}\n" for line in lines]),
    "empty segment": (P, lambda lines: [*lines, ""]),
    "control character": (P, replaced("workstation", "work\x0bstation")),
    "no observation": (P, lambda lines: [s for s in lines if not s.startswith("OBX")]),
    "patient without a name": (P, added("PID|1||42", "OBR")),
    "no order": (P, removed("OBR")),
    "no header": (P, removed("MSH")),
}
OF_ORU: dict[str, tuple[State, Fault]] = {
    "specimen before the order": (P, moved("SPM", "OBR")),
    "named as the other message": (P, field("MSH", 9, "OUL^R22^OUL_R22")),
    "container that has no place": (P, added("SAC|||slide-1", "OBR")),
}
OF_OUL: dict[str, tuple[State, Fault]] = {
    "order before the specimen": (P, moved("OBR", "SPM")),
    "container before the specimen": (P, moved("SAC", "SPM")),
    "no specimen": (P, removed("SPM")),
    "named as the other message": (P, field("MSH", 9, "ORU^R01^ORU_R01")),
}
