from __future__ import annotations

import copy
from typing import Any

import jsonschema
import numpy as np
import pytest

from edge.bench.machine.nvml import Gpu
from edge.bench.reading.document import parse_document
from edge.bench.statistics.percentiles import Estimate, Refused
from tests.support.bench_document import SCHEMA, calm_series, document_of, fields_of
from tests.support.series import series_of

GPU = Gpu("H100", "550.54.14", 1200, 1980, 2600, 80 << 30, 700.0, ecc=True, temperature_c=40)


def full_document() -> dict[str, Any]:
    """Every kind of value that a document may have."""
    staged = series_of(
        np.full(60, 3.0),
        stages_ns={name: np.full(60, 1_000_000) for name in ("decode", "infer")},
    )
    loop = calm_series(
        2.0, subject="torch", mode="open_loop_poisson", offered_per_second=20.5, threads=2
    )
    estimate = {"value": 2.0, "low": 1.9, "high": 2.1, "confidence": 0.95}
    found = document_of(
        staged,
        loop,
        ratios=[
            {"of": loop.id, "to": staged.id, "what": "median latency", "estimate": estimate},
            {
                "of": loop.id,
                "to": staged.id,
                "what": "images per second",
                "estimate": {"refused": "unstable: drift"},
            },
        ],
        against=[
            {
                "subject": "openvino",
                "ran": False,
                "why_not": "the package openvino is not installed",
                "version": None,
                "labels_compared": 0,
                "labels_equal": 0,
            }
        ],
        notes=["a line"],
    )
    found["series"][0]["energy"] = {"joules_per_image": 0.02, "source": "RAPL, package"}
    found["environment"]["gpu"] = {name: getattr(GPU, name) for name in Gpu.__dataclass_fields__}
    return found


def test_document_with_everything_is_valid_by_the_schema_and_read() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    value = full_document()
    jsonschema.validate(value, SCHEMA)
    found = parse_document(value)
    assert [one.id for one in found.series] == [
        "image/single_stream/int8",
        "image/open_loop_poisson/torch/t2/20.5ps",
    ]
    first = found.series[0]
    assert first.series.durations_ns.tolist() == [3_000_000] * 60
    assert first.percentiles_ms["50"] == Estimate(3.0, 3.0, 3.0)
    assert isinstance(first.percentiles_ms["99"], Refused)
    assert first.joules_per_image == 0.02
    assert set(first.series.stages_ns) == {"decode", "infer"}
    assert found.ratios[1].estimate == Refused("unstable: drift")
    assert found.against[0].why_not == "the package openvino is not installed"
    assert found.notes == ("a line",)


def test_document_without_series_is_read() -> None:
    value = document_of()
    jsonschema.validate(value, SCHEMA)
    assert parse_document(value).series == ()


def test_document_with_keys_of_a_later_version_is_read() -> None:
    value = full_document()
    value["later"] = value["series"][0]["later"] = {"a": 1}
    assert len(parse_document(value).series) == 2


CASES: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "schema-1": (("schema",), "edge-bench/1", "of schema edge-bench/1, without samples"),
    "schema-3": (("schema",), "edge-bench/3", "its schema is 'edge-bench/3'"),
    "schema-number": (("schema",), 2, "schema is 2; it needs a text"),
    "count": (("series", 0, "count"), 61, r"series\[0\].durations_ns has 60 values; its count"),
    "count-0": (("series", 0, "count"), 0, "whole number from 1"),
    "count-true": (("series", 0, "count"), True, "count is True"),
    "float": (("series", 0, "durations_ns", 3), 1.5, r"durations_ns\[3\] is 1.5"),
    "bool": (("series", 1, "turns", 0), False, r"series\[1\].turns\[0\] is False"),
    "null": (("series", 0, "starts_ns", 1), None, r"starts_ns\[1\] is None"),
    "huge": (("series", 0, "durations_ns", 0), 10**5000, "too large a number"),
    "mode": (("series", 0, "mode"), "fast", "it needs one of single_stream, offline"),
    "id": (("series", 0, "id"), "a/b/c", "is 'a/b/c', not 'image/single_stream/int8'"),
    "no-list": (("series",), {"a": 1}, "series is an object; it needs a list"),
    "no-object": (("series", 1), [1], r"series\[1\] is a list; it needs an object"),
    "inf": (("series", 0, "max_ms"), float("inf"), "max_ms is inf; it needs a number"),
    "interval": (
        ("ratios", 0, "estimate", "low"), 2.05, r"ratios\[0\].estimate.value lies outside"
    ),
    "labels": (("against", 0, "labels_equal"), 3, "more than the 0 labels compared"),
    "long-text": (("bundle", "name"), "x" * 100_000, "a text of 1 to 2,000 characters"),
    "long-note": (("notes",), ["x" * 100_000], "notes is a list; it needs a list of texts"),
    "stage": (("series", 0, "stages_ns", "infer"), [1], "infer has 1 values; its count"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_document_with_a_wrong_value_is_refused_with_its_place(name: str) -> None:
    place, wrong, message = CASES[name]
    value = copy.deepcopy(full_document())
    parent: Any = value
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = wrong
    with pytest.raises(ValueError, match=message) as error:
        parse_document(value)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["series", "bundle", "environment", "notes", "created"])
def test_document_without_a_value_is_refused_as_missing(key: str) -> None:
    value = full_document()
    del value[key]
    with pytest.raises(ValueError, match=f"{key} is missing"):
        parse_document(value)


def test_document_with_a_series_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'image/single_stream/int8' is there twice"):
        parse_document(document_of(calm_series(), calm_series()))


def test_document_with_too_many_series_is_refused() -> None:
    value = document_of()
    value["series"] = [fields_of(series_of([1.0]))] * 1001
    with pytest.raises(ValueError, match="1,001 series; at most 1,000"):
        parse_document(value)


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_document_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="the document is"):
        parse_document(value)
