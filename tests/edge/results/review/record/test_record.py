"""Tests for edge.results.review.record.record, with a real database."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest

from edge.errors import ConfigError, StorageError
from edge.results.document.result import Person
from edge.results.review.errors import ChangedError
from edge.results.review.record.entry import NO_HASH, Action, Draft, Entry
from edge.results.review.record.entry_json import LONGEST_TEXT
from edge.results.review.record.record import Record
from tests.support.review_entries import SECOND, START, change, draft, ticking


def draft_of(entry: Entry) -> Draft:
    return Draft(**{one.name: getattr(entry, one.name) for one in fields(Draft)})


def test_appended_entries_are_there_after_opening_again(tmp_path: Path) -> None:
    drafts = [
        draft(),
        draft(Action.NOTE, sample="other", text="zwei\nZeilen"),
        draft(Action.SIGN, text="reason"),
    ]
    with Record.open(tmp_path / "state", clock=ticking()) as record:
        assert record.head() == (0, NO_HASH)
        entries = [record.append(one) for one in drafts]
    with Record.open(tmp_path / "state") as record:
        assert list(record.all()) == entries
        assert [draft_of(one) for one in entries] == drafts
        assert record.of_slide(drafts[0].slide_key) == [entries[0], entries[2]]
        assert record.last_number(drafts[0].slide_key) == 3
        assert record.last_number("0" * 20) == 0
        assert record.head() == (3, entries[2].hash)
    assert [one.number for one in entries] == [1, 2, 3]
    assert [one.previous for one in entries] == [NO_HASH, entries[0].hash, entries[1].hash]
    assert [one.at for one in entries] == [START + timedelta(seconds=n) for n in range(3)]


def test_same_request_again_gives_the_entry_of_then_and_appends_nothing(tmp_path: Path) -> None:
    with Record.open(tmp_path) as record:
        first = draft()
        entry = record.append(first)
        record.append(draft())
        assert record.append(first, expects=0) == entry
        assert record.head()[0] == 2


def test_same_request_with_another_content_is_refused(tmp_path: Path) -> None:
    with Record.open(tmp_path) as record:
        first = draft()
        record.append(first)
        with pytest.raises(ConfigError, match="recorded as entry 1 with another content"):
            record.append(replace(first, cells=(change(1, None, "monocyte"),)))
        assert record.head()[0] == 1


def test_append_after_another_entry_of_the_slide_is_refused_of_another_slide_not(
    tmp_path: Path,
) -> None:
    with Record.open(tmp_path) as record:
        record.append(draft(), expects=0)
        with pytest.raises(ChangedError) as raised:
            record.append(draft(), expects=0)
        assert "S000123" not in str(raised.value)
        record.append(draft(sample="other"), expects=0)
        assert record.append(draft(), expects=1).number == 3


def test_time_of_a_clock_that_was_set_back_is_a_microsecond_later(tmp_path: Path) -> None:
    times = iter([START, START - timedelta(days=1), START, START + timedelta(seconds=1)])
    with Record.open(tmp_path, clock=lambda: next(times)) as record:
        entries = [record.append(draft()) for _ in range(4)]
    tick = timedelta(microseconds=1)
    assert [one.at - START for one in entries] == [0 * tick, tick, 2 * tick, timedelta(seconds=1)]


def test_open_signatures_are_those_without_a_written_file(tmp_path: Path) -> None:
    with Record.open(tmp_path) as record:
        signs = [record.append(draft(Action.SIGN, sample=str(n))) for n in range(3)]
        record.append(draft(Action.WRITTEN, sample="1", undoes=2))
        assert record.open_signatures() == [signs[0], signs[2]]
        assert list(record.signatures()) == signs


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (draft(Action.UNDO, undoes=3), "undoes names no earlier entry"),
        (draft(Action.UNDO, undoes=1, sample="other"), "it is of another slide"),
        (draft(Action.UNDO, undoes=1, by=SECOND), "it is another person's"),
        (draft(Action.UNDO, undoes=2), "it is of the action sign"),
        (draft(Action.WRITTEN, undoes=1), "it is no signature"),
        (draft(Action.NOTE, text="x" * (LONGEST_TEXT + 1)), "at most 2000 are recorded"),
        (draft(Action.NOTE, text=" "), "the note is empty"),
        (draft(cells=[change(1), change(1)]), "it names a cell twice"),
        (draft(cells=[change(1, after="blast")]), r"cells\[0\].after is not one of"),
        (draft(cells=[change(1, confidence=float("nan"))]), "Out of range float"),
        (draft(cells=[change(1, confidence=1.5)]), "confidence is no number from 0 to 1"),
        (draft(Action.SIGN, cells=[change(1, after=None)]), "a signed cell has no label"),
        (draft(Action.SIGN, verification="no hash"), "verification is no SHA-256"),
        (replace(draft(), verification="f" * 64), "a signature and what is written have"),
        (replace(draft(Action.SIGN), signed_at=None), "a signature has signed_at"),
        (replace(draft(Action.SIGN), note="x" * 20_001), "at most 20000 are recorded"),
        (replace(draft(), note="x"), "a signature alone has a note"),
        (replace(draft(), cells=()), "it has no cells"),
        (replace(draft(), request="F" * 32), "request is no 32 hexadecimal digits"),
        (replace(draft(), login="guest"), "login is not one of pin, system"),
        (replace(draft(), revision=-1), "revision is no whole number"),
        (replace(draft(), sample_id=""), "sample_id is no text with characters"),
        (replace(draft(), sample_id="\udc80"), "a text is no Unicode"),
        (draft(by=Person(" ", "x")), "it names no person"),
        (draft(by=Person("x", "a\nb")), "control character"),
        (draft(by=Person("x", "y" * 1001)), "at most 1000 are recorded"),
        (
            draft(Action.SIGN, differential={"text": "x" * (16 << 20)}),
            "at most 16777216 are recorded",
        ),
    ],
)
def test_append_what_does_not_fit_is_refused_and_the_next_one_works(
    tmp_path: Path, wrong: Draft, text: str
) -> None:
    with Record.open(tmp_path) as record:
        record.append(draft())
        record.append(draft(Action.SIGN))
        with pytest.raises(ConfigError, match=text) as raised:
            record.append(wrong)
        assert "S000123" not in str(raised.value)
        assert "\n" not in str(raised.value)
        assert record.append(draft()).number == 3


def test_undo_twice_is_refused(tmp_path: Path) -> None:
    with Record.open(tmp_path) as record:
        record.append(draft())
        record.append(draft(Action.UNDO, undoes=1))
        with pytest.raises(ConfigError, match="taken back before"):
            record.append(draft(Action.UNDO, undoes=1))


@pytest.mark.parametrize(
    "text", ["Ünïcödé 血液", "a\0b\x1b[2J", '"}, {"', "\u2028\u202e", "e\u0301 é", "🩸" * 900]
)
def test_any_text_comes_back_unchanged(tmp_path: Path, text: str) -> None:
    with Record.open(tmp_path) as record:
        entry = record.append(draft(Action.NOTE, sample=text, slide=text, text=text))
    with Record.open(tmp_path) as record:
        assert [(one.sample_id, one.slide_id, one.text) for one in record.all()] == [(text,) * 3]
        assert record.of_slide(entry.slide_key) == [entry]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET content = ''",
        "UPDATE entry SET number = 7",
        "DELETE FROM entry",
        "UPDATE head SET number = 0",
        "UPDATE head SET hash = ''",
        "DELETE FROM head",
        "INSERT INTO entry VALUES (5, '', '', '', '', NULL, '')",
        "INSERT OR REPLACE INTO entry VALUES (1, '', '', '', '', NULL, '')",
    ],
)
def test_other_programs_cannot_change_an_entry(tmp_path: Path, statement: str) -> None:
    with Record.open(tmp_path) as record:
        record.append(draft())
        before = list(record.all())
        with closing(sqlite3.connect(record.path)) as db:
            with pytest.raises(sqlite3.IntegrityError, match="of the record"):
                db.execute(statement)
            db.rollback()
        assert list(record.all()) == before


def test_file_is_private(tmp_path: Path) -> None:
    with Record.open(tmp_path / "state") as record:
        record.append(draft())
        modes = {stat.S_IMODE(path.stat().st_mode) for path in record.path.parent.iterdir()}
    assert modes == {0o600}


def test_read_entry_that_was_changed_is_refused(tmp_path: Path) -> None:
    with Record.open(tmp_path) as record:
        record.append(draft())
        with closing(sqlite3.connect(record.path)) as db:
            db.execute("DROP TRIGGER entry_stays")
            db.execute("UPDATE entry SET content = replace(content, 'lymph', 'mono')")
            db.commit()
        with pytest.raises(StorageError, match="entry 1"):
            list(record.all())
        with pytest.raises(StorageError, match="entry 1"):
            record.append(draft())
