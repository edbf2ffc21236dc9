from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import edge
from edge.backends.select import open_session
from edge.bundle import load_bundle
from edge.golden import open_labeller
from edge.sidecar import (
    ModelFacts,
    Origin,
    _rfc3339,
    csv_columns,
    model_facts,
    now,
    sidecar_fields,
    sidecar_files,
    sidecar_path,
    to_csv,
    to_json,
    write_sidecars,
)
from edge.text.printable import printable_name
from tests.support.images import Jpeg

SCHEMA = json.loads((Path(edge.__file__).parent / "schemas" / "edge-sidecar-1.json").read_text())
Fields = Callable[[bytes], dict[str, Any]]


@pytest.fixture
def model(small_bundle: Path) -> ModelFacts:
    bundle = load_bundle(small_bundle)
    return model_facts(bundle, open_session(bundle))


@pytest.fixture
def fields_of(small_bundle: Path, tmp_path: Path, model: ModelFacts) -> Fields:
    bundle = load_bundle(small_bundle)
    labeller = open_labeller(bundle, open_session(bundle))

    def make(content: bytes) -> dict[str, Any]:
        path = tmp_path / "cell.jpg"
        path.write_bytes(content)
        origin = Origin("cell.jpg", sample_id="S1", slide_id="2")
        return sidecar_fields(labeller.label(path), origin, model, host="h", created=now())

    return make


def test_sidecar_of_labelled_image_is_valid_and_complete(
    fields_of: Fields, colour_jpeg: Jpeg
) -> None:
    fields = fields_of(colour_jpeg("red"))
    jsonschema.validate(fields, SCHEMA)
    assert fields["status"] == "labelled"
    assert fields["label"] == "red"
    assert fields["sample_id"] == "S1"
    assert list(fields["probabilities"]) == ["red", "green", "blue"]


def test_sidecar_of_rejected_image_is_valid_and_has_a_reason(
    fields_of: Fields, colour_jpeg: Jpeg
) -> None:
    fields = fields_of(colour_jpeg("red")[:-9])
    jsonschema.validate(fields, SCHEMA)
    assert (fields["status"], fields["reason"], fields["label"]) == ("rejected", "truncated", None)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "maybe"},
        {"label": None},
        {"created": "2026-01-01T00:00:00"},
        {"extra": 1},
        {"reason": "truncated"},
    ],
)
def test_schema_refuses_a_wrong_sidecar(
    fields_of: Fields, colour_jpeg: Jpeg, change: dict[str, Any]
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**fields_of(colour_jpeg("red")), **change}, SCHEMA)


def test_csv_has_one_header_row_and_one_row_with_the_json_fields(
    fields_of: Fields, colour_jpeg: Jpeg, model: ModelFacts, tmp_path: Path
) -> None:
    fields = fields_of(colour_jpeg("blue"))
    files = dict(sidecar_files(tmp_path / "cell.jpg", fields, model.classes, ("json", "csv")))
    rows = list(csv.reader(io.StringIO(files[tmp_path / "cell.jpg.csv"].decode(), newline="")))
    assert len(rows) == 2
    assert rows[0] == csv_columns(model.classes)
    row = dict(zip(rows[0], rows[1], strict=True))
    assert row["label"] == "blue"
    assert float(row["probability_blue"]) == fields["probabilities"]["blue"]
    assert row["image_sha256"] == fields["image"]["sha256"]
    assert row["reason"] == ""


def test_sidecar_names_the_graph_and_csv_readers_that_count_columns_go_on(
    fields_of: Fields, colour_jpeg: Jpeg, model: ModelFacts
) -> None:
    fields = fields_of(colour_jpeg("blue"))
    assert fields["model"]["graph"] == model.graph
    assert model.graph in ("model.int8.onnx", "model.fp32.onnx")
    columns = csv_columns(model.classes)
    place = columns.index("model_graph")
    assert columns[place - 1 : place + 2] == ["host", "model_graph", "image_folder"]
    row = to_csv(fields, model.classes).decode().splitlines()[1].split(",")
    assert row[place - 1 : place + 2] == ["h", model.graph, "."]
    # Sidecars of earlier versions have none, and hold.
    del fields["model"]["graph"]
    jsonschema.validate(fields, SCHEMA)


def test_sidecar_names_the_folder_and_older_ones_without_it_are_valid(
    fields_of: Fields, colour_jpeg: Jpeg, model: ModelFacts
) -> None:
    fields = fields_of(colour_jpeg("blue"))
    assert list(fields["image"])[:2] == ["file", "folder"]
    assert fields["image"]["folder"] == "."
    fields["image"]["folder"] = "=S1/a\nb"
    jsonschema.validate(fields, SCHEMA)
    (row,) = csv.DictReader(io.StringIO(to_csv(fields, model.classes).decode(), newline=""))
    assert row["image_folder"] == r"'=S1/a\x0ab"
    del fields["image"]["folder"]
    jsonschema.validate(fields, SCHEMA)


def test_sidecar_files_are_written_json_last(
    fields_of: Fields, colour_jpeg: Jpeg, model: ModelFacts, tmp_path: Path
) -> None:
    fields = fields_of(colour_jpeg("blue"))
    files = sidecar_files(tmp_path / "mirror" / "cell.jpg", fields, model.classes, ("json", "csv"))
    assert [path.suffix for path, _ in files] == [".csv", ".json"]
    write_sidecars(files)
    assert json.loads((tmp_path / "mirror" / "cell.jpg.json").read_bytes()) == fields


def test_sidecar_path_of_longest_name_stays_within_limit_and_unique(tmp_path: Path) -> None:
    first = sidecar_path(tmp_path / ("x" * 250 + "1.jpg"), "json")
    second = sidecar_path(tmp_path / ("x" * 250 + "2.jpg"), "json")
    assert first != second
    for path in (first, second):
        assert len(os.fsencode(path.name)) <= 255
        path.touch()


def test_printable_name_of_undecodable_bytes_is_text() -> None:
    name = printable_name(Path(os.fsdecode(b"caf\xe9.jpg")))
    assert name == r"caf\xe9.jpg"
    json.dumps(name, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0.jpg", "'=cmd|' /C calc'!A0.jpg"),
        ("@SUM(1)", "'@SUM(1)"),
        ("-1+1", "'-1+1"),
        ("\uff1d1", "'\uff1d1"),
        ("-12.5", "-12.5"),
        ("+49", "+49"),
        ("000123", "000123"),
        ("a\r\nb\u2028c\t", r"a\x0d\x0ab\u2028c\x09"),
        ("S-1 'x'", "S-1 'x'"),
    ],
)
def test_csv_cell_of_a_name_is_one_line_and_no_formula(
    fields_of: Fields, colour_jpeg: Jpeg, model: ModelFacts, text: str, cell: str
) -> None:
    fields = fields_of(colour_jpeg("blue"))
    fields["image"]["file"] = text
    content = to_csv(fields, model.classes).decode()
    assert len(content.splitlines()) == 2
    (row,) = csv.DictReader(io.StringIO(content, newline=""))
    assert row["image_file"] == cell
    assert json.loads(to_json(fields))["image"]["file"] == text


@pytest.mark.parametrize("text", ["=W1234 15 123456 00", "@7", "-S1", "000123", "+A"])
def test_csv_id_is_never_altered(
    fields_of: Fields, colour_jpeg: Jpeg, model: ModelFacts, text: str
) -> None:
    fields = {**fields_of(colour_jpeg("blue")), "sample_id": text, "slide_id": text}
    (row,) = csv.DictReader(io.StringIO(to_csv(fields, model.classes).decode(), newline=""))
    assert (row["sample_id"], row["slide_id"]) == (text, text)


def test_sidecar_time_with_an_offset_of_seconds_is_told_in_utc(
    fields_of: Fields, colour_jpeg: Jpeg
) -> None:
    """Monrovia kept 44 minutes and 30 seconds until 1972, and a file may be of 1970."""
    fields = fields_of(colour_jpeg("blue"))
    offset = timezone(-timedelta(minutes=44, seconds=30))
    moment = datetime(1970, 1, 1, tzinfo=offset)
    assert _rfc3339(moment) == "1970-01-01T00:44:30.000+00:00"
    fields["image"]["modified"] = _rfc3339(moment)
    jsonschema.validate(fields, SCHEMA)


def test_sidecar_during_an_alarm_says_since_when_and_older_ones_without_it_are_valid(
    fields_of: Fields, colour_jpeg: Jpeg, model: ModelFacts
) -> None:
    fields = fields_of(colour_jpeg("blue"))
    assert fields["drift"] is None
    since = "2026-11-23T09:14:03.000+01:00"
    fields["drift"] = {"since": since}
    jsonschema.validate(fields, SCHEMA)
    (row,) = csv.DictReader(io.StringIO(to_csv(fields, model.classes).decode(), newline=""))
    assert row["drift_since"] == since
    del fields["drift"]
    jsonschema.validate(fields, SCHEMA)


@pytest.mark.parametrize(
    "fields",
    [
        {"image": {"file": 'a",\n "b.jpg', "folder": "ü\u2028\x01"}, "label": None},
        {"message": '{"a": 1},\n  ', "timing_ms": {"decode": 1e-7, "total": 12345.678}, "n": 3},
        {"probabilities": {}, "passes": True, "last": {"only": -0.0}},
    ],
)
def test_json_sidecar_of_any_text_and_number_equals_the_indented_json(fields: Any) -> None:
    expected = json.dumps(fields, indent=1, ensure_ascii=False) + "\n"

    assert to_json(fields) == expected.encode()
