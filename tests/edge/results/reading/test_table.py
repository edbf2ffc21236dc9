from __future__ import annotations

import io
import math
import sys
from datetime import timedelta
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from openpyxl.utils.escape import unescape

from edge.errors import BackendError, ConfigError
from edge.results.document.result import CELL_CLASSES
from edge.results.reading import xlsx
from edge.results.reading.table import (
    Columns,
    read_table,
    table_of,
    to_arrow,
    to_pandas,
    to_parquet,
)
from edge.results.reading.xlsx import to_xlsx
from tests.support.sidecar_tree import CREATED, export, outcome, rejected_outcome

HOSTILE = (
    *(
        "000123",
        "=1+1",
        "+49",
        "-S1",
        "@x",
        "\uff1d1",
        "'0",
        "1e5",
        "TRUE",
        "2026-01-02",
        " a ",
        "",
    ),
    *("a\tb\nc\rd", "\x01\x1f", "_x0041_", "<&>\"'", "\ufffe\uffff", "ä\U0001f600", "#REF!"),
)


@pytest.fixture
def columns(tmp_path: Path) -> Columns:
    export(tmp_path, "000.jpg", rejected_outcome(b"0"), sample_id="000123", slide_id="=1")
    export(tmp_path, "S1/a.jpg", outcome(b"a", "ig", 0.4, is_identified=False))
    export(tmp_path, "S1/b.jpg", outcome(b"b"))
    return read_table(tmp_path)


def test_table_has_a_row_for_each_cell_and_none_where_there_is_no_value(columns: Columns) -> None:
    assert {len(column) for column in columns.values()} == {3}
    assert columns["status"] == ["rejected", "unidentified", "labelled"]
    assert columns["image_folder"] == [".", "S1", "S1"]
    assert columns["sample_id"] == ["000123", None, None]
    assert columns["confidence"] == [None, 0.4, 0.93]
    assert columns["probability_ig"] == [None, 0.4, 0.01]
    assert columns["created"] == [CREATED] * 3
    names = [*columns]
    first = names.index("probability_neutrophil")
    assert names[first - 1] == "confidence"
    assert names[first : first + 8] == [f"probability_{name}" for name in CELL_CLASSES]
    assert names[first + 8] == "reason"


def test_table_of_no_cells_has_its_columns() -> None:
    assert {len(column) for column in table_of([]).values()} == {0}
    assert to_arrow(table_of([])).num_rows == 0


def test_arrow_table_has_the_values_and_types(columns: Columns) -> None:
    table = pa.parquet.read_table(io.BytesIO(to_parquet(columns)))
    assert table.to_pydict() == columns
    assert table.schema.field("is_familiar").type == pa.bool_()
    assert table.schema.field("reason").type == pa.string()


def test_pandas_table_has_the_values(columns: Columns) -> None:
    frame = to_pandas(columns)
    assert isinstance(frame, pd.DataFrame)
    assert frame["label"].tolist()[2] == "neutrophil"
    assert frame["sample_id"][0] == "000123"
    assert frame["created"][0].utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("package", "convert"), [("pandas", to_pandas), ("pyarrow", to_arrow)], ids=["pandas", "arrow"]
)
def test_table_without_the_package_says_what_to_install(
    package: str, convert: object, columns: Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BackendError, match=f"^{package} is not installed. Install it: pip"):
        convert(columns)  # type: ignore[operator]


def test_workbook_is_read_with_the_same_values_and_types(columns: Columns) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(to_xlsx(columns))).active
    rows = [*sheet.iter_rows(values_only=True)]
    assert list(rows[0]) == [*columns]
    texts = {**columns, "created": [CREATED.isoformat()] * 3}
    expected = [list(row) for row in zip(*texts.values(), strict=True)]
    assert [list(row) for row in rows[1:]] == expected


def test_workbook_keeps_every_text_as_text() -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(to_xlsx({"id": HOSTILE}))).active
    cells = [row[0] for row in sheet.iter_rows(min_row=2)]
    assert [unescape(cell.value or "") for cell in cells] == [*HOSTILE]
    # Inline or shared strings, and no formula (f), number (n) or error (e).
    assert {cell.data_type for cell in cells if cell.value} <= {"s", "inlineStr"}
    assert {cell.number_format for cell in cells} == {"@"}


def test_workbook_has_numbers_and_bools() -> None:
    values = [0.1, 1e-7, 3, True, False, None, math.pi]
    sheet = openpyxl.load_workbook(io.BytesIO(to_xlsx({"v": values}))).active
    found = [row[0].value for row in sheet.iter_rows(min_row=2)]
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_workbook_of_equal_tables_has_equal_bytes(columns: Columns) -> None:
    assert to_xlsx(columns) == to_xlsx(columns)


def test_workbook_that_no_sheet_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MOST_ROWS", 3)
    assert to_xlsx({"a": [1, 2]})
    with pytest.raises(ConfigError, match="3 cells, a sheet has 3 rows; export them with --csv"):
        to_xlsx({"a": [1, 2, 3]})
    with pytest.raises(ConfigError, match="a text has 32,768 characters"):
        to_xlsx({"a": ["x" * 32_768]})
