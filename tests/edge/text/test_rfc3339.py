"""Tests for edge.text.rfc3339."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from edge.text.rfc3339 import moment_of, rfc3339


@pytest.mark.parametrize(
    "text",
    ["2026-11-23T09:14:03+01:00", "2026-11-23T09:14:03.131000-03:30", "0001-01-01T00:00:00+00:00"],
)
def test_rfc3339_of_moment_gives_the_text_again(text: str) -> None:
    assert rfc3339(moment_of(text)) == text


def test_moment_of_z_and_short_fractions_are_read() -> None:
    assert moment_of("2026-11-23t09:14:03.5z") == moment_of("2026-11-23T10:14:03.500+01:00")


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-11-23", "2026-11-23T09:14:03", "2026-11-23 09:14:03Z", "20261123T091403Z"),
        *("2026-11-23T09:14Z", "2026-W48-1T09:14:03Z", "2026-13-01T00:00:00Z"),
        *("2026-11-23T09:14:60Z", "2026-11-23T09:14:03+25:00", "2026-11-23T09:14:03Z\n"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"),
    ],
)
def test_moment_of_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment_of(text)


def test_rfc3339_offset_with_seconds_becomes_utc() -> None:
    zone = timezone(timedelta(minutes=53, seconds=28))
    moment = datetime(1890, 1, 1, 12, 0, tzinfo=zone)
    assert moment_of(rfc3339(moment)) == moment


def test_rfc3339_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        rfc3339(datetime(2026, 11, 23))  # noqa: DTZ001
