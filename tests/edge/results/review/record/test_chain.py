"""Tests for edge.results.review.record.chain: tampers on real databases."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge.results.review.record.anchor import Anchor
from edge.results.review.record.chain import Chain
from edge.results.review.record.entry import Action
from edge.results.review.record.record import Record
from tests.campaigns.tampering.campaign import run_campaign
from tests.support.review_entries import SECOND, draft, ticking

VERIFICATION = b'{"word": "all cells seen"}\n'


def problems(folder: Path, *anchors: str) -> list[str]:
    with Record.open(folder) as record:
        given = [Anchor.parse(one) for one in anchors]
        return list(Chain(record, folder / "verifications", given).problems())


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Decided by two persons, one taken back, signed, and its verification written."""
    with Record.open(tmp_path, clock=ticking()) as record:
        record.append(draft())
        record.append(draft(by=SECOND, sample="other"))
        record.append(draft(Action.UNDO, undoes=1))
        sha = hashlib.sha256(VERIFICATION).hexdigest()
        record.append(draft(Action.SIGN, verification=sha))
        record.append(draft(Action.WRITTEN, undoes=4, verification="one.json"))
    (tmp_path / "verifications").mkdir()
    (tmp_path / "verifications" / "one.json").write_bytes(VERIFICATION)
    return tmp_path


def forge(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change the last entry and compute its hash and the head anew, as an attacker can."""
    with closing(sqlite3.connect(folder / "reviews.sqlite3")) as db:
        query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        triggers = db.execute(query).fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        query = "SELECT number, content FROM entry ORDER BY number DESC LIMIT 1"
        number, text = db.execute(query).fetchone()
        fields = json.loads(text)
        change(fields)
        content = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        hash_ = hashlib.sha256(content.encode()).hexdigest()
        values = (content, hash_, fields["undoes"], fields["slide_key"], number)
        db.execute(
            "UPDATE entry SET content = ?, hash = ?, undoes = ?, slide_key = ? WHERE number = ?",
            values,
        )
        db.execute("UPDATE head SET hash = ?", (hash_,))
        for _, statement in triggers:
            db.execute(statement)
        db.commit()


def test_record_as_it_was_made_has_no_problem(site: Path) -> None:
    with Record.open(site) as record:
        number, hash_ = record.head()
    assert problems(site) == []
    assert problems(site, f"{number}:{hash_}", f"{number}:{hash_[:12].upper()}") == []


def test_empty_record_has_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("undoes", "text"),
    [
        (2, "entry 6: it names entry 2, but it is of another slide"),
        (1, "entry 6: it names entry 1, but that was taken back before"),
        (4, "entry 6: it names entry 4, but it is of the action sign"),
    ],
)
def test_undo_of_what_cannot_be_taken_back_is_found(site: Path, undoes: int, text: str) -> None:
    with Record.open(site) as record:
        record.append(draft())
        record.append(draft(Action.UNDO, undoes=6))
    forge(site, lambda fields: fields.update(undoes=undoes))
    assert problems(site) == [text.replace("entry 6", "entry 7")]


def test_undo_by_another_person_is_found(site: Path) -> None:
    with Record.open(site) as record:
        record.append(draft())
        record.append(draft(Action.UNDO, undoes=6))
    forge(site, lambda fields: fields.update(by={"id": "kk", "name": "Kōji Kaneko"}))
    assert problems(site) == ["entry 7: it names entry 6, but it is another person's"]


def test_written_without_its_signature_is_found(site: Path) -> None:
    forge(site, lambda fields: fields.update(undoes=3))
    assert problems(site) == ["entry 5: it names entry 3, but it is no signature"]


@pytest.mark.parametrize("name", ["../one.json", "..", "verifications/one.json", "a\0b"])
def test_written_with_a_path_for_a_name_is_found(site: Path, name: str) -> None:
    forge(site, lambda fields: fields.update(verification=name))
    assert problems(site) == ["entry 5: it names no file of verifications"]


def test_verification_file_changed_missing_or_a_link_is_found(site: Path) -> None:
    path = site / "verifications" / "one.json"
    path.write_bytes(VERIFICATION + b" ")
    said = "entry 5: the verification file of signature 4"
    assert problems(site) == [f"{said} was changed"]
    path.unlink()
    assert problems(site) == [f"{said} is missing"]
    path.symlink_to(site / "elsewhere")
    (site / "elsewhere").write_bytes(VERIFICATION)
    assert problems(site) == [f"{said} cannot be read"]


def test_chain_computed_anew_is_found_by_an_anchor_alone(site: Path) -> None:
    with Record.open(site) as record:
        entry = record.append(draft())
    forge(site, lambda fields: fields.update(sample_id="S000999"))
    assert problems(site) == []
    assert problems(site, f"6:{entry.hash[:12]}") == ["entry 6: its hash is not that of the anchor"]


def test_anchor_of_a_later_entry_tells_that_the_end_is_missing(site: Path) -> None:
    text = "the record ends with entry 5, the anchor is of entry 9: the end is missing"
    assert problems(site, f"9:{'a' * 64}") == [text]


@pytest.mark.parametrize(
    "text", ["", "5", "5:abc", "x:" + "a" * 12, "5:" + "g" * 12, "-1:" + "a" * 12]
)
def test_anchor_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no anchor; needed is NUMBER:HASH"):
        Anchor.parse(text)


def test_problems_name_no_sample_and_no_person(site: Path) -> None:
    with closing(sqlite3.connect(site / "reviews.sqlite3")) as db:
        db.execute("DROP TRIGGER entry_stays")
        db.execute("UPDATE entry SET content = replace(content, 'revision', 'S000123')")
        db.execute("UPDATE entry SET request = 'S000123' || number, slide_key = 'Mina'")
        db.commit()
    text = "\n".join(problems(site))
    assert "entry 5: its content cannot be read" in text
    assert "S000123" not in text
    assert "Mina" not in text


@pytest.mark.parametrize("at", [1, 5])
def test_entries_that_another_process_appends_meanwhile_are_no_problem(site: Path, at: int) -> None:
    """While the first entry is checked, or the last one, after which the head is read."""
    more = iter(range(3))

    with Record.open(site) as record, Record.open(site) as other:

        def told(number: int) -> None:
            if number >= at and next(more, None) is not None:
                other.append(draft())

        assert list(Chain(record, told=told).problems()) == []
        assert record.head()[0] == 8


def test_entry_appended_between_the_last_look_and_the_head_is_no_problem(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Record.open(site) as record, Record.open(site) as other:
        real = record.head
        late = iter(range(2))

        def head(_self: Record) -> tuple[int, str]:
            if next(late, None) is not None:
                monkeypatch.undo()
                other.append(draft())
                monkeypatch.setattr(Record, "head", head)
            return real()

        monkeypatch.setattr(Record, "head", head)
        chain = Chain(record)
        assert list(chain.problems()) == []


def test_three_hundred_tampered_records_are_all_found(tmp_path: Path) -> None:
    figures = run_campaign(tmp_path, records=300, slides=3, seed=7, show=lambda _line: None)
    assert figures.problems == []
    assert figures.found == figures.total
    assert len(figures.total) == 28
    assert figures.by_anchor == sum(figures.apart.values()) == 15
    assert figures.untouched == 30


def test_campaign_with_a_check_that_sees_nothing_reports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Chain, "problems", lambda _self: iter(()))
    figures = run_campaign(tmp_path, records=40, slides=2, seed=7, show=lambda _line: None)
    assert len(figures.problems) > 25
