"""Tests for edge.results.verification, with real files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import edge
from edge.errors import ConfigError
from edge.results.document.result import Person
from edge.results.verification.folder import read_verifications, write_verification
from edge.results.verification.verification_file import (
    VerificationFile,
    verification_from_json,
    verification_to_json,
)
from tests.support.slide_results import PERSON, START, sha_of

SCHEMA = json.loads(
    (Path(edge.__file__).parent / "schemas" / "edge-verification-1.json").read_text()
)
VERIFICATION = VerificationFile(
    *("S000123", "slide-1", 1, PERSON, START),
    labels={sha_of("1"): "neutrophil", sha_of("2"): "artefact", sha_of("3"): "other"},
    note="two lines\nof text",
    reason="late cells",
)
KEYS = {VERIFICATION.slide_key}


def test_verification_written_and_read_is_the_same_and_valid(tmp_path: Path) -> None:
    path = write_verification(tmp_path / "verifications", VERIFICATION)
    jsonschema.validate(json.loads(path.read_bytes()), SCHEMA)
    assert read_verifications(path.parent, KEYS) == ([VERIFICATION], [])
    assert "S000123" not in path.name


def test_write_verification_again_is_the_same_file_and_another_one_is_not(tmp_path: Path) -> None:
    first = write_verification(tmp_path, VERIFICATION)
    assert write_verification(tmp_path, VERIFICATION) == first
    assert write_verification(tmp_path, replace(VERIFICATION, note="")) != first
    assert len(read_verifications(tmp_path, KEYS)[0]) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        replace(VERIFICATION, by=Person("mm", " ")),
        replace(VERIFICATION, by=Person("", "Mina")),
        replace(VERIFICATION, by=Person("mm", "Mina\x1b[2J")),
        replace(VERIFICATION, labels={}),
        replace(VERIFICATION, labels={sha_of("1"): "blast"}),
        replace(VERIFICATION, labels={"1": "ig"}),
        replace(VERIFICATION, at=datetime(2026, 11, 23)),  # noqa: DTZ001
        replace(VERIFICATION, revision=-1),
        replace(VERIFICATION, sample_id=""),
        replace(VERIFICATION, note="\ud800"),
    ],
)
def test_write_verification_that_nobody_could_use_writes_nothing(
    tmp_path: Path, wrong: VerificationFile
) -> None:
    with pytest.raises(ConfigError, match="the verification is not usable"):
        write_verification(tmp_path, wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda f: f.update(schema="edge-verification/2"), "schema is not one of"),
        (lambda f: f.update(by={"id": "mm"}), "by.name is missing"),
        (lambda f: f.update(at="yesterday"), "at is wrong"),
        (lambda f: f["cells"].append(f["cells"][0]), "names a cell twice"),
        (lambda f: f["cells"][0].update(label=None), "label is no text"),
        (lambda f: f["cells"][0].update(label="unidentified"), "label is not one of neutrophil"),
        (lambda f: f.update(cells=[]), "it has no cells"),
        (lambda f: f.update(signed=True), "signed is not a known key"),
    ],
)
def test_read_verifications_changed_file_is_told_and_the_others_are_read(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], text: str
) -> None:
    fields = json.loads(verification_to_json(VERIFICATION))
    change(fields)
    (tmp_path / "by hand.json").write_text(json.dumps(fields))
    write_verification(tmp_path, VERIFICATION)
    found, (unusable,) = read_verifications(tmp_path, KEYS)
    assert found == [VERIFICATION]
    assert text in unusable.reason
    assert "\n" not in unusable.reason


def test_read_verifications_torn_file_is_told_at_every_length(tmp_path: Path) -> None:
    content = verification_to_json(VERIFICATION)
    for length in range(0, len(content) - 2, 7):
        with pytest.raises(ValueError, match=r"."):
            verification_from_json(content[:length])
    (tmp_path / "torn.json").write_bytes(content[:100])
    assert [one.path.name for one in read_verifications(tmp_path, KEYS)[1]] == ["torn.json"]


def test_read_verifications_of_other_slides_and_other_files_are_left(tmp_path: Path) -> None:
    path = write_verification(tmp_path, VERIFICATION)
    (tmp_path / ".hidden.json").write_text("{")
    (tmp_path / "notes.txt").write_text("{")
    assert read_verifications(tmp_path, set()) == ([], [])
    path.rename(path.with_name(f"{'0' * 20}{path.name[20:]}"))
    _, (unusable,) = read_verifications(tmp_path, {"0" * 20})
    assert unusable.reason == "its name is that of another slide"


def test_read_verifications_named_by_hand_for_no_slide_is_told(tmp_path: Path) -> None:
    path = write_verification(tmp_path, VERIFICATION)
    path.rename(tmp_path / "by-hand.json")
    assert read_verifications(tmp_path, set(), is_known=KEYS.__contains__) == ([], [])
    found, (unusable,) = read_verifications(tmp_path, set(), is_known=lambda _key: False)
    assert (found, unusable.path.name) == ([], "by-hand.json")
    assert unusable.reason == "no slide here has its sample and slide id"


def test_read_verifications_ending_in_capitals_is_read(tmp_path: Path) -> None:
    path = write_verification(tmp_path, VERIFICATION)
    path.rename(tmp_path / "S000123.JSON")
    assert read_verifications(tmp_path, KEYS) == ([VERIFICATION], [])


def test_read_verifications_folder_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert read_verifications(tmp_path / "none", KEYS) == ([], [])


def test_read_verifications_pipe_in_the_folder_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    assert "cannot be read" in read_verifications(tmp_path, KEYS)[1][0].reason
