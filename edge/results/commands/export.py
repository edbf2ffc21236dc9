"""`edge-results export`: all cells in one CSV, Parquet or XLSX file."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from edge.command.new_file import add_overwrite, require_free
from edge.command.progress import Progress
from edge.command.values import given_path
from edge.files import atomic
from edge.results.commands.command import Command, Show
from edge.results.commands.reading import add_path, cells_in
from edge.results.reading.table import Columns, require_arrow, table_of, to_parquet
from edge.results.reading.xlsx import to_xlsx
from edge.text.counted import counted
from edge.text.csv_cells import one_line, safe_cell

_FORMATS: Final = ("csv", "parquet", "xlsx")
# A LIS finds the patient by them, so they are never altered.
_IDS: Final = ("sample_id", "slide_id")


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_path(parser)
    group = parser.add_mutually_exclusive_group(required=True)
    for name in _FORMATS:
        needs = ", needs pyarrow" if name == "parquet" else ""
        group.add_argument(
            f"--{name}", type=given_path, metavar="FILE", help=f"write {name}{needs}"
        )
    add_overwrite(parser)


def _run(arguments: argparse.Namespace, show: Show) -> int:
    format_ = next(name for name in _FORMATS if getattr(arguments, name))
    target: Path = getattr(arguments, format_)
    require_free(target, overwrite=arguments.overwrite)
    if format_ == "parquet":
        require_arrow()
    columns = table_of(cells_in(arguments.path))
    count = len(columns["status"])
    with Progress("rows written", sys.stderr) as progress:
        content = _content(format_, columns, progress)
    atomic.write_file(target, content)
    show(f"{counted(count, 'cell')} in {target}")
    return 0


def _content(format_: str, columns: Columns, progress: Progress) -> bytes:
    if format_ == "parquet":
        return to_parquet(columns)
    if format_ == "xlsx":
        return to_xlsx(columns, progress.update)
    return _to_csv(columns, progress)


def _to_csv(columns: Columns, progress: Progress) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(map(safe_cell, columns))
    is_id = [name in _IDS for name in columns]
    for number, row in enumerate(zip(*columns.values(), strict=True), 1):
        writer.writerow(_csv_cells(row, is_id))
        progress.update(number)
    return text.getvalue().encode()


def _csv_cells(row: Iterable[Any], is_id: list[bool]) -> Iterable[Any]:
    for value, keeps in zip(row, is_id, strict=True):
        if isinstance(value, datetime):
            yield value.isoformat()
        else:
            yield one_line(value) if keeps else safe_cell(value)


EXPORT = Command(_add_options, _run)
