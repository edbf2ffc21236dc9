"""Tests for daemon.journal.changes: what a look at a file asks for, by what the journal has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.image.records import ImageVersion
from daemon.journal.changes import (
    LONGEST_S,
    LOOKS,
    Known,
    Step,
    doubted_until,
    next_look_at,
    next_step,
)

NOW_S = 1_700_000_000.0
SEEN = ImageVersion(1, b"a.jpg", 10, 5, 7)
DONE = Known(3, 10, 5, 7, "done", "labelled", None, "ab", None)
UNFINISHED = replace(DONE, status="rejected", reason="truncated")
WAITING = replace(DONE, state="waiting", status=None, sha256=None)


def step(known: Known | None, seen: ImageVersion = SEEN, *, is_written: bool = False) -> Step:
    return next_step(known, seen, NOW_S, is_written=is_written)


@pytest.mark.parametrize("known", [None, replace(WAITING, state="gone")])
def test_file_without_a_row_that_counts_is_recorded(known: Known | None) -> None:
    assert step(known) is Step.RECORD


@pytest.mark.parametrize("known", [DONE, WAITING, replace(WAITING, state="claimed"), UNFINISHED])
def test_file_that_is_as_the_row_says_asks_for_nothing(known: Known) -> None:
    assert step(known) is Step.NOTHING


@pytest.mark.parametrize("known", [DONE, WAITING, replace(WAITING, state="claimed"), UNFINISHED])
def test_file_of_another_size_is_recorded(known: Known) -> None:
    assert step(known, replace(SEEN, size_bytes=11)) is Step.RECORD


@pytest.mark.parametrize("seen", [replace(SEEN, mtime_ns=6), replace(SEEN, ctime_ns=8)])
def test_file_that_has_an_outcome_and_other_times_is_compared(seen: ImageVersion) -> None:
    assert step(DONE, seen) is Step.COMPARE
    assert step(UNFINISHED, seen) is Step.COMPARE
    assert step(replace(DONE, state="waiting"), seen) is Step.NOTE_TIMES


def test_file_that_waits_for_its_first_outcome_is_recorded_under_another_mtime() -> None:
    assert step(WAITING, replace(SEEN, mtime_ns=6)) is Step.RECORD
    assert step(WAITING, replace(SEEN, ctime_ns=8)) is Step.NOTE_TIMES


def test_file_in_a_workers_hand_is_left_to_him_unless_its_mtime_changed() -> None:
    claimed = replace(WAITING, state="claimed")
    assert step(claimed, replace(SEEN, ctime_ns=8)) is Step.NOTHING
    assert step(claimed, replace(SEEN, mtime_ns=6)) is Step.RECORD


def test_row_of_an_earlier_version_takes_the_ctime_without_a_comparison() -> None:
    assert step(replace(DONE, ctime_ns=None)) is Step.NOTE_TIMES


def test_outcome_without_a_hash_is_compared_only_under_the_same_mtime() -> None:
    unread = replace(DONE, status="rejected", reason="too_large", sha256=None)
    assert step(unread, replace(SEEN, ctime_ns=8)) is Step.COMPARE
    assert step(unread, replace(SEEN, mtime_ns=6)) is Step.RECORD


def test_file_just_written_is_compared_only_where_it_may_not_have_been_finished() -> None:
    assert step(UNFINISHED, is_written=True) is Step.COMPARE
    assert step(DONE, is_written=True) is Step.NOTHING


def test_times_in_doubt_are_believed_only_with_a_hint() -> None:
    doubted, seen = replace(DONE, doubted_until=NOW_S + 60), replace(SEEN, ctime_ns=8)
    assert step(doubted, seen) is Step.NOTHING
    assert step(doubted, seen, is_written=True) is Step.COMPARE
    assert step(replace(DONE, doubted_until=NOW_S - 1), seen) is Step.COMPARE


def test_doubt_from_before_the_clock_was_set_back_does_not_count() -> None:
    doubted = replace(DONE, doubted_until=NOW_S + LONGEST_S + 1)
    assert step(doubted, replace(SEEN, ctime_ns=8)) is Step.COMPARE


def test_looks_grow_rarer_and_end_after_more_than_a_day() -> None:
    waits = []
    for looks in range(LOOKS):
        at = next_look_at("truncated", looks, NOW_S)
        assert at is not None
        waits.append(at - NOW_S)
    assert waits == [60, 180, 540, 1620, 4860, 14580, 43740, 86400]
    assert sum(waits[:-1]) < LONGEST_S < sum(waits)
    assert next_look_at("truncated", LOOKS, NOW_S) is None
    assert next_look_at("too_small", 0, NOW_S) is None


def test_doubt_grows_up_to_a_day() -> None:
    assert doubted_until(0, NOW_S) is None
    assert doubted_until(1, NOW_S) == NOW_S + 60
    assert doubted_until(10**6, NOW_S) == NOW_S + LONGEST_S
