"""Tests for edge.results.review.record.entry_json and the published schema."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edge.results.review.record.entry import NO_HASH, Action
from edge.results.review.record.entry_json import entry_of, sealed
from tests.campaigns.tampering.made_record import make_record
from tests.support.review_entries import START, draft

ROOT = Path(__file__).parents[5]
SCHEMA = json.loads((ROOT / "edge" / "schemas" / "edge-review-1.json").read_bytes())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The contents of a record, as they are in its file."""
    path = make_record(tmp_path_factory.mktemp("record") / "state", slides=12, seed=3)
    with closing(sqlite3.connect(path)) as db:
        return [str(row[0]) for row in db.execute("SELECT content FROM entry ORDER BY number")]


def test_schema_takes_every_entry_of_a_record(contents: list[str]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert {json.loads(content)["action"] for content in contents} == {*map(str, Action)}
    for content in contents:
        VALIDATOR.validate(json.loads(content))


def test_any_program_can_compute_the_chain(contents: list[str]) -> None:
    previous = NO_HASH
    for number, content in enumerate(contents, 1):
        value = json.loads(content)
        assert (value["number"], value["previous"]) == (number, previous)
        previous = hashlib.sha256(content.encode()).hexdigest()
        assert content == json.dumps(
            value, ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
        assert entry_of(content.encode()).hash == previous


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("key", SCHEMA["required"])
def test_schema_and_program_refuse_an_entry_without_a_key(action: Action, key: str) -> None:
    value = made(action)
    del value[key]
    assert_refused(value)


@pytest.mark.parametrize(
    ("action", "changes"),
    [
        (Action.SIGN, {"signed_at": None}),
        (Action.SIGN, {"differential": None}),
        (Action.SIGN, {"verification": "x"}),
        (Action.SIGN, {"cells": []}),
        (Action.DECIDE, {"cells": []}),
        (Action.DECIDE, {"note": "x"}),
        (Action.DECIDE, {"verification": "x"}),
        (Action.DECIDE, {"undoes": 1}),
        (Action.NOTE, {"text": " "}),
        (Action.NOTE, {"text": "x" * 2001}),
        (Action.UNDO, {"undoes": None}),
        (Action.WRITTEN, {"undoes": None}),
        (Action.WRITTEN, {"verification": None}),
        (Action.DECIDE, {"request": "A" * 32}),
        (Action.DECIDE, {"previous": "0" * 63}),
        (Action.DECIDE, {"at": "2026-11-23T09:14:03"}),
        (Action.DECIDE, {"schema": "edge-review/2"}),
        (Action.DECIDE, {"more": 1}),
        (Action.DECIDE, {"number": 0}),
        (Action.DECIDE, {"login": "guest"}),
        (Action.DECIDE, {"action": "erase"}),
    ],
)
def test_schema_and_program_refuse_what_does_not_fit_its_action(
    action: Action, changes: dict[str, Any]
) -> None:
    assert_refused(made(action) | changes)


def test_a_request_that_differs_in_a_float_s_spelling_alone_is_the_same() -> None:
    one = draft()
    cell = one.cells[0]
    as_whole = replace(one, cells=(replace(cell, confidence=1),))
    as_float = replace(one, cells=(replace(cell, confidence=1.0),))
    assert sealed(as_whole, 1, START, NO_HASH) == sealed(as_float, 1, START, NO_HASH)


@pytest.mark.parametrize(
    "changes",
    [
        {"after": []},
        {"after": {}},
        {"after": "blast"},
        {"before": 1},
        {"sha256": "a" * 63},
        {"sha256": None},
        {"model": "A" * 64},
        {"confidence": "0.5"},
        {"confidence": True},
        {"confidence": -0.1},
        {"more": 1},
    ],
)
def test_schema_and_program_refuse_a_wrong_cell(changes: dict[str, Any]) -> None:
    value = made(Action.DECIDE)
    value["cells"][0] |= changes
    assert_refused(value)


def made(action: Action) -> dict[str, Any]:
    refers = action in (Action.UNDO, Action.WRITTEN)
    _, content = sealed(draft(action, undoes=1 if refers else None), 5, START, NO_HASH)
    value: dict[str, Any] = json.loads(content)
    VALIDATOR.validate(value)
    return value


def assert_refused(value: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(value)
    with pytest.raises(ValueError, match=r"."):
        entry_of(json.dumps(value).encode())
