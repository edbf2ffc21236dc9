from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import hl7
import pytest

from edge.results.formats.hl7.segment import (
    components,
    message,
    segment,
    subcomponents,
    text,
    timestamp,
)
from tests.support.hl7.reading import unescaped

MSH = segment("MSH", {3: "us", 12: "2.5.1"})


def test_segment_with_gaps_has_fields_at_their_numbers() -> None:
    assert segment("OBR", {1: "1", 3: "S1", 7: "t"}) == "OBR|1||S1||||t"


def test_segment_msh_counts_the_delimiter_as_its_first_field() -> None:
    assert segment("MSH", {3: "us", 7: "t"}) == "MSH|^~\\&|us||||t"


def test_message_ends_each_segment_by_a_carriage_return() -> None:
    assert message(["MSH|1", "OBX|ö"]) == "MSH|1\rOBX|ö\r".encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a|b^c&d~e\\f", "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f"),
        ("\r\n", "\\X0D\\\\X0A\\"),
        ("\x0b\x1c\x00\x7f", "\\X0B\\\\X1C\\\\X00\\\\X7F\\"),
        ("\x85", "\\XC285\\"),
        ("\u2028", "\\XE280A8\\"),
        ("\\X0D\\", "\\E\\X0D\\E\\"),
        ("Köln 37 °C", "Köln 37 °C"),
        ("\udcff", "\\E\\udcff"),
        ("", ""),
    ],
)
def test_text_with_special_characters_is_escaped(value: str, expected: str) -> None:
    assert text(value) == expected


def test_text_of_every_character_is_read_back() -> None:
    every = "".join(map(chr, (*range(0x2100), *range(0xE000, 0xE010), 0x1F9EB)))
    encoded = text(every)
    assert unescaped(encoded) == every
    assert encoded.splitlines() == [encoded]
    assert not set("|^&~") & set(encoded)


def test_text_escaped_is_read_back_by_python_hl7() -> None:
    value = "a|b^c&d~e\\f\r\n\x0b\x1c ö 陳"
    parsed = hl7.parse(message([MSH, segment("NTE", {3: text(value)})]).decode())
    assert parsed.unescape(str(parsed.segment("NTE")[3])) == value


def test_components_with_empty_ones_at_the_end_are_left_out() -> None:
    assert components("%", "", "UCUM", "") == "%^^UCUM"
    assert subcomponents("id", "A & B") == "id&A \\T\\ B"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        (UTC, "20261127080503.130+0000"),
        (timezone(timedelta(hours=1)), "20261127090503.130+0100"),
        (timezone(timedelta(hours=-3, minutes=-30)), "20261127043503.130-0330"),
        # HL7 has no seconds in an offset.
        (timezone(timedelta(hours=1, seconds=8)), "20261127080503.130+0000"),
    ],
)
def test_timestamp_has_milliseconds_and_offset(zone: timezone, expected: str) -> None:
    moment = datetime(2026, 11, 27, 8, 5, 3, 130_999, tzinfo=UTC).astimezone(zone)
    assert timestamp(moment) == expected
