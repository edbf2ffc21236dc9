"""The schema and the reader refuse the same sidecars."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import edge
from edge.results.document.result import CELL_CLASSES
from edge.results.reading.fields import parse_fields
from edge.results.reading.problem import ForeignError, ProblemCode, SidecarError
from edge.sidecar import to_json
from tests.support.sidecar_tree import fields_of, outcome, rejected_outcome

SCHEMA = json.loads((Path(edge.__file__).parent / "schemas" / "edge-sidecar-1.json").read_text())
LABELLED = fields_of(outcome(b"a"), b"S1/a.jpg", "S1", "2")
FAMILIARITY = {"score": 3.2, "limit": 2.5, "passes": False, "reason": "stain"}
UNIDENTIFIED = {
    **fields_of(outcome(b"a", "ig", 0.4, is_identified=False), b"a.jpg"),
    "familiarity": FAMILIARITY,
}
REJECTED = fields_of(rejected_outcome(b"a"), b"a.jpg")
WHOLE = {"labelled": LABELLED, "unidentified": UNIDENTIFIED, "rejected": REJECTED}
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    0.5,
    2,
    2.5,
    "",
    "x",
    "labelled",
    "truncated",
    [],
    {},
    "a" * 64,
)
OPTIONAL = {("image", "folder"), ("model", "graph"), ("drift",), ("familiarity",)}


def paths(fields: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, value in fields.items():
        yield (name,)
        if isinstance(value, dict):
            yield from ((name, below) for below in value)


def changed(fields: dict[str, Any], path: tuple[str, ...], *values: Any) -> dict[str, Any]:
    """The fields with another value at a path, or without it."""
    found = copy.deepcopy(fields)
    parent = found[path[0]] if len(path) == 2 else found
    if values:
        (parent[path[-1]],) = values
    else:
        del parent[path[-1]]
    return found


VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def is_valid(fields: dict[str, Any]) -> bool:
    return bool(VALIDATOR.is_valid(fields))


def is_taken(fields: dict[str, Any]) -> bool:
    try:
        parse_fields(to_json(fields))
    except (SidecarError, ForeignError):
        return False
    return True


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_sidecar_is_taken(kind: str) -> None:
    assert parse_fields(to_json(WHOLE[kind])) == WHOLE[kind]


@pytest.mark.parametrize("kind", WHOLE)
def test_reader_takes_no_value_that_the_schema_refuses(kind: str) -> None:
    for path in paths(WHOLE[kind]):
        for value in VALUES:
            fields = changed(WHOLE[kind], path, value)
            assert is_valid(fields) or not is_taken(fields), (path, value)


@pytest.mark.parametrize("kind", WHOLE)
def test_reader_refuses_beyond_the_schema_only_what_it_cannot_say(kind: str) -> None:
    beyond = {
        # A label without its probability, unidentified without probabilities, and no path.
        *(("label",), ("confidence",), ("probabilities",), ("image", "folder")),
        # Only a rejected image may lack its hash.
        ("image", "sha256"),
        # A label must be the most probable class; a rejected image has probabilities in no version.
        *(("probabilities", name) for name in CELL_CLASSES),
    }
    for path in paths(WHOLE[kind]):
        for value in VALUES:
            fields = changed(WHOLE[kind], path, value)
            assert is_taken(fields) or not is_valid(fields) or path in beyond, (path, value)


@pytest.mark.parametrize("kind", WHOLE)
def test_missing_field_is_told_by_its_name(kind: str) -> None:
    for path in paths(WHOLE[kind]):
        fields = changed(WHOLE[kind], path)
        if path in OPTIONAL or path[0] == "probabilities":
            continue
        if path == ("schema",):
            with pytest.raises(ForeignError):
                parse_fields(to_json(fields))
            continue
        with pytest.raises(SidecarError, match=f"^{'.'.join(path)} is missing$") as raised:
            parse_fields(to_json(fields))
        assert raised.value.code is ProblemCode.MISSING_FIELD


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("image", "sha256"), None, "status labelled of an image without a hash"),
        (("probabilities", "ig"), 0.94, "the label is not the most probable class"),
        (("label",), "ig", "the label is not the most probable class"),
    ],
)
def test_cell_that_would_be_counted_wrongly_is_a_contradiction(
    path: tuple[str, ...], value: object, text: str
) -> None:
    with pytest.raises(SidecarError, match=text) as raised:
        parse_fields(to_json(changed(LABELLED, path, value)))
    assert raised.value.code is ProblemCode.CONTRADICTION


def test_fields_of_later_versions_are_taken() -> None:
    fields = {**LABELLED, "familiarity": {**FAMILIARITY, "later": 1}, "later": [1]}
    fields["image"] = {**fields["image"], "later": 1}
    assert parse_fields(to_json(fields)) == fields


def test_sidecars_of_the_first_versions_are_taken() -> None:
    fields = changed(changed(LABELLED, ("image", "folder")), ("model", "graph"))
    assert parse_fields(to_json(fields)) == fields


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (b"", ProblemCode.NOT_JSON, "empty"),
        (b"\0" * 900, ProblemCode.NOT_JSON, "not whole JSON at character 0: Expecting value"),
        (to_json(LABELLED)[:400], ProblemCode.NOT_JSON, "not whole JSON"),
        (to_json(LABELLED) + b"}", ProblemCode.NOT_JSON, "Extra data"),
        (to_json(LABELLED).replace(b"0.93,", b"NaN,"), ProblemCode.NOT_JSON, "NaN is not JSON"),
        (to_json(LABELLED).replace(b"0.93,", b"-Infinity,"), ProblemCode.NOT_JSON, "-Infinity"),
        (to_json(LABELLED).replace(b'"S1"', b'"S\xff1"'), ProblemCode.NOT_JSON, "not UTF-8"),
        (to_json(LABELLED).replace(b'"S1"', b'"S\xed\xa0\x801"'), ProblemCode.NOT_JSON, "UTF-8"),
        (to_json(LABELLED).replace(b'"S1"', rb'"\ud83d"'), ProblemCode.NOT_JSON, "surrogate"),
        (to_json(LABELLED).decode().encode("utf-16"), ProblemCode.NOT_JSON, "not UTF-8"),
        (b'{"label": 1,' + to_json(LABELLED)[1:], ProblemCode.NOT_JSON, "same key twice"),
        (b"[" * 100_000, ProblemCode.NOT_JSON, "nested too deeply"),
        (to_json(LABELLED).replace(b" 0.6", b" " + b"9" * 5000), ProblemCode.NOT_JSON, "digits"),
        (to_json(LABELLED).replace(b" 2.4", b" 1e999"), ProblemCode.WRONG_VALUE, "timing_ms.infer"),
        (
            to_json({**LABELLED, "schema": "edge-sidecar/2"}),
            ProblemCode.OTHER_SCHEMA,
            "schema 'edge-sidecar/2', this version reads 'edge-sidecar/1'",
        ),
        (
            to_json({**LABELLED, "familiarity": {**FAMILIARITY, "passes": 1}}),
            ProblemCode.WRONG_VALUE,
            "familiarity.passes",
        ),
        (
            to_json({**LABELLED, "status": "unidentified"}),
            ProblemCode.CONTRADICTION,
            "status unidentified with a label",
        ),
        (
            to_json({**UNIDENTIFIED, "status": "labelled"}),
            ProblemCode.CONTRADICTION,
            "status labelled without a label",
        ),
        (
            to_json({**REJECTED, "status": "unidentified"}),
            ProblemCode.CONTRADICTION,
            "status unidentified with a reason",
        ),
        (
            to_json({**LABELLED, "label": "blast"}),
            ProblemCode.CONTRADICTION,
            "none of the classes",
        ),
        (
            to_json({**LABELLED, "image": {**LABELLED["image"], "folder": "a/../.."}}),
            ProblemCode.WRONG_VALUE,
            "image.folder",
        ),
        (
            to_json({**LABELLED, "image": {**LABELLED["image"], "file": "../a.jpg"}}),
            ProblemCode.WRONG_VALUE,
            "image.file",
        ),
    ],
)
def test_planted_fault_is_told_in_a_line(content: bytes, code: ProblemCode, text: str) -> None:
    with pytest.raises(SidecarError) as raised:
        parse_fields(content)
    assert raised.value.code is code
    assert text in str(raised.value)
    assert str(raised.value).isprintable()


def test_escaped_pair_of_surrogates_is_a_character() -> None:
    content = to_json(LABELLED).replace(b'"S1"', rb'"\ud83d\ude00"')
    assert parse_fields(content)["sample_id"] == "\N{GRINNING FACE}"


@pytest.mark.parametrize("content", [b"{}", b"[]", b"1", b'{"schema": "other/1"}', b'{"schema":1}'])
def test_json_of_another_program_is_foreign(content: bytes) -> None:
    with pytest.raises(ForeignError):
        parse_fields(content)
