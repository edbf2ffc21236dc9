"""All cells as columns, for pandas, Arrow and files."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

from edge.errors import BackendError
from edge.results.reading.problem import OnProblem, log_problem
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.reading.sidecars import read_sidecars
from edge.text.printable import printable_path

# Lists of equal length, by the column's name.
Columns: TypeAlias = dict[str, list[Any]]

# The names are those of the CSV sidecars. The classes come between the two.
_BEFORE: Final = (
    *("status", "image_folder", "image_file", "image_sha256", "sample_id", "slide_id"),
    *("label", "confidence"),
)
_AFTER: Final = (
    *("reason", "message", "model_name", "model_version", "model_bundle_sha256"),
    *("model_precision", "model_backend", "model_graph", "created", "is_familiar", "sidecar"),
    # New columns are appended.
    *("drift_since", "unfamiliar"),
)
PROBABILITY: Final = "probability_"


def read_table(path: Path, on_problem: OnProblem = log_problem) -> Columns:
    """Every cell below a folder as columns.

    Args:
        path: the folder, as of `read_sidecars`.
        on_problem: called once for each file that is no usable sidecar.

    Raises:
        ConfigError: there is no such folder.
        StorageError: the folder cannot be read.
    """
    return table_of(read_sidecars(path, on_problem))


def table_of(cells: Iterable[SidecarCell]) -> Columns:
    """Cells as columns: None where a cell has no value, times with their offset.

    A column `probability_<class>` exists for each class that a cell has, in the order of the model.
    """
    before: Columns = {name: [] for name in _BEFORE}
    classes: Columns = {}
    after: Columns = {name: [] for name in _AFTER}
    for number, cell in enumerate(cells):
        for column, value in zip(before.values(), _values_before(cell), strict=True):
            column.append(value)
        for name in cell.probabilities:
            if name not in classes:
                classes[name] = [None] * number
        for name, column in classes.items():
            column.append(cell.probabilities.get(name))
        for column, value in zip(after.values(), _values_after(cell), strict=True):
            column.append(value)
    named = {f"{PROBABILITY}{name}": column for name, column in classes.items()}
    return {**before, **named, **after}


def to_pandas(columns: Columns) -> Any:
    """The table as a pandas DataFrame.

    Raises:
        BackendError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise _missing("pandas") from error
    return pd.DataFrame(columns)


def to_arrow(columns: Columns) -> Any:
    """The table as an Arrow table; times are in UTC.

    Raises:
        BackendError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise _missing("pyarrow") from error
    kinds = {"confidence": pa.float64(), "is_familiar": pa.bool_()}
    kinds["created"] = kinds["drift_since"] = pa.timestamp("us", tz="UTC")
    fields = [
        # Named types, as a column without any value has none by itself.
        (name, pa.float64() if name.startswith(PROBABILITY) else kinds.get(name, pa.string()))
        for name in columns
    ]
    return pa.table(columns, schema=pa.schema(fields))


def require_arrow() -> None:
    """Refuse a machine without pyarrow, before all sidecars are read for it.

    Raises:
        BackendError: pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise _missing("pyarrow")


def to_parquet(columns: Columns) -> bytes:
    """The table as a Parquet file.

    Raises:
        BackendError: pyarrow is not installed.
    """
    table = to_arrow(columns)
    import pyarrow as pa
    import pyarrow.parquet

    content = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, content)
    return bytes(content.getvalue())


def _values_before(cell: SidecarCell) -> tuple[Any, ...]:
    return (
        str(cell.status),
        cell.folder,
        cell.file,
        cell.sha256,
        cell.sample_id,
        cell.slide_id,
        cell.label,
        cell.confidence,
    )


def _values_after(cell: SidecarCell) -> tuple[Any, ...]:
    return (
        cell.reason,
        cell.message,
        cell.model.name,
        cell.model.version,
        cell.model.bundle_sha256,
        cell.precision,
        cell.backend,
        cell.graph,
        cell.created,
        cell.is_familiar,
        printable_path(os.fsencode(cell.sidecar)),
        cell.drift_since,
        cell.unfamiliar,
    )


def _missing(package: str) -> BackendError:
    return BackendError(f"{package} is not installed. Install it: pip install {package}.")
