from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge.errors import BundleError, ConfigError
from edge.results.differential.bundle_errors import (
    BundleErrors,
    errors_of_slide,
    read_bundle_errors,
    require_known_classes,
)
from edge.results.differential.errors import NO_BUNDLE
from edge.results.document.result import CELL_CLASSES, ModelIdentity
from edge.results.reading.sidecar_cell import SidecarCell
from edge.status import Status
from tests.support.errors_bundle import CLASSES, evidence, perfect_rows, write_errors_bundle

INT8, FP32 = "model.int8.onnx", "model.fp32.onnx"


def written(tmp_path: Path, **graphs: list[list[int]]) -> Path:
    return write_errors_bundle(tmp_path / "m.edge", evidence(graphs), {})


def sidecar(
    file: str, sha256: str, graph: str | None = INT8, classes: tuple[str, ...] = CELL_CLASSES
) -> SidecarCell:
    return SidecarCell(
        sidecar=Path(f"{file}.json"),
        folder="S1",
        file=file,
        sha256="0" * 64,
        status=Status.LABELLED,
        label="ig",
        confidence=0.9,
        probabilities=dict.fromkeys(classes, 1 / len(classes)),
        reason=None,
        message=None,
        sample_id="S1",
        slide_id=None,
        model=ModelIdentity("colours", "1", sha256),
        precision="int8",
        backend="onnxruntime-cpu",
        graph=graph,
        created=datetime(2026, 11, 27, tzinfo=UTC),
    )


def test_tables_of_a_bundle_are_in_the_order_of_the_differential(tmp_path: Path) -> None:
    rows = perfect_rows(50)
    rows[CLASSES.index("neutrophil")][CLASSES.index("ig")] = 3
    rows[CLASSES.index("platelet")][-1] = 7
    found = read_bundle_errors(written(tmp_path, **{INT8: rows}))
    table = found.tables[INT8]
    assert table[CELL_CLASSES.index("neutrophil")][CELL_CLASSES.index("ig")] == 3
    assert table[CELL_CLASSES.index("platelet")][8] == 7
    assert [table[i][i] for i in range(8)] == [50] * 8
    assert sum(map(sum, table)) == 410
    assert found.model == "colours 1"


def test_bundle_without_such_tables_has_none(tmp_path: Path) -> None:
    old = {"schema": "edge-evidence/1", "classes": CLASSES}
    bundle = read_bundle_errors(write_errors_bundle(tmp_path / "m.edge", old, {}))
    found = errors_of_slide([sidecar("1.jpg", bundle.sha256)], [bundle])
    assert not found.tables
    assert found.missing == (
        "none: the bundle of colours 1 has no table of errors for model.int8.onnx; "
        "convert the model again with labelled validation images"
    )


def test_changed_evidence_is_refused(tmp_path: Path) -> None:
    root = written(tmp_path, **{INT8: perfect_rows(50)})
    path = root / "evidence/evidence.json"
    path.write_bytes(path.read_bytes().replace(b"50", b"90"))
    with pytest.raises(BundleError, match=r"evidence\.json"):
        read_bundle_errors(root)


@pytest.mark.parametrize(
    "rows",
    [
        perfect_rows(50)[:7],
        [row[:8] for row in perfect_rows(50)],
        [[*row[:8], -1] for row in perfect_rows(50)],
        [[*row[:8], True] for row in perfect_rows(50)],
        [[*row[:8], 0.5] for row in perfect_rows(50)],
        7,
    ],
)
def test_evidence_with_a_table_that_is_none_is_refused_in_one_line(
    tmp_path: Path, rows: Any
) -> None:
    root = write_errors_bundle(tmp_path / "m.edge", evidence({INT8: rows}), {})
    with pytest.raises(BundleError, match="is damaged") as why:
        read_bundle_errors(root)
    assert "\n" not in str(why.value)


def test_plan_has_the_table_of_the_graph_that_it_was_built_from(tmp_path: Path) -> None:
    graph = b"a graph for TensorRT"
    record = json.dumps({"graph_sha256": hashlib.sha256(graph).hexdigest()}).encode()
    needs = {"backend": "tensorrt"}
    more: dict[str, tuple[bytes, dict[str, Any]]] = {
        "model.int8.trt.onnx": (graph, {"role": "model", "precision": "int8", "requires": needs}),
        "engines/a.json": (record, {"role": "record"}),
        "engines/a.plan": (
            b"plan",
            {
                "role": "engine",
                "precision": "int8",
                "requires": {**needs, "record": "engines/a.json"},
            },
        ),
    }
    tables = {INT8: perfect_rows(50), "model.int8.trt.onnx": perfect_rows(60)}
    found = read_bundle_errors(write_errors_bundle(tmp_path / "m.edge", evidence(tables), more))
    assert found.tables["engines/a.plan"] == found.tables["model.int8.trt.onnx"]
    assert found.tables["engines/a.plan"] != found.tables[INT8]


def bundle(**tables: int) -> BundleErrors:
    rows = {path: tuple(map(tuple, perfect_rows(images))) for path, images in tables.items()}
    return BundleErrors("a" * 64, "cells8 2.1.0", rows)


def test_slide_of_two_graphs_has_the_table_of_each() -> None:
    held = bundle(**{INT8: 50, FP32: 60})
    cells = [sidecar("1.jpg", held.sha256), sidecar("2.jpg", held.sha256, FP32)]
    found = errors_of_slide(cells, [held])
    assert found.tables[found.graph_of["S1/1.jpg"]] == held.tables[INT8]
    assert found.tables[found.graph_of["S1/2.jpg"]] == held.tables[FP32]
    assert found.source == (
        "validation of cells8 2.1.0, model.int8.onnx, on 400 images, 50 of each class and "
        "validation of cells8 2.1.0, model.fp32.onnx, on 480 images, 60 of each class"
    )


def test_slide_of_the_same_graph_in_two_bundles_has_the_table_of_each() -> None:
    first = bundle(**{INT8: 50})
    second = BundleErrors("b" * 64, "cells8 2.2.0", bundle(**{INT8: 90}).tables)
    cells = [sidecar("1.jpg", first.sha256), sidecar("2.jpg", second.sha256)]
    found = errors_of_slide(cells, [first, second])
    assert found.tables[found.graph_of["S1/2.jpg"]] == second.tables[INT8]
    assert len(found.tables) == 2


@pytest.mark.parametrize(
    ("graph", "sha256", "why"),
    [
        (INT8, "b" * 64, "the bundle of colours 1 that labelled, bbbbbbbbbbbb..., was not given"),
        (None, "a" * 64, "sidecars of an older version do not say which graph labelled"),
        (FP32, "a" * 64, "has no table of errors for model.fp32.onnx"),
    ],
)
def test_cell_without_a_table_says_why(graph: str | None, sha256: str, why: str) -> None:
    cells = [sidecar("1.jpg", "a" * 64), sidecar("2.jpg", sha256, graph)]
    found = errors_of_slide(cells, [bundle(**{INT8: 50})])
    assert "S1/2.jpg" not in found.graph_of
    assert why in found.missing


def test_reason_is_one_line_whatever_a_sidecar_names_its_graph() -> None:
    found = errors_of_slide([sidecar("1.jpg", "a" * 64, "a\nb\x0b")], [bundle(**{INT8: 50})])
    assert r"table of errors for a\nb\x0b;" in found.missing


def test_slide_without_any_bundle_says_so() -> None:
    assert errors_of_slide([sidecar("1.jpg", "a" * 64)], []).missing == NO_BUNDLE


def test_known_classes_in_any_order_are_taken() -> None:
    require_known_classes([sidecar("1.jpg", "a" * 64, classes=CLASSES)])


def test_model_that_lacks_a_class_is_refused_as_it_would_make_0_percent_of_it() -> None:
    five = ("neutrophil", "eosinophil", "basophil", "lymphocyte", "mono")
    with pytest.raises(ConfigError) as why:
        require_known_classes([sidecar("1.jpg", "a" * 64, classes=five)])
    assert str(why.value) == (
        "the model colours 1 has 'mono' and lacks 'erythroblast', 'ig', 'monocyte', 'platelet'; "
        "a differential is of neutrophil, eosinophil, basophil, lymphocyte, monocyte, ig, "
        "erythroblast, platelet. Convert the model with these names of its classes."
    )
