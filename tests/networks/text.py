"""The tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tests.gpu.figures import table
from tests.networks.record import FAILED, Row

_HEADER: Final = (
    "network",
    "px",
    "trained",
    "file",
    "FP32",
    "INT8 x86",
    "TensorRT graph",
    "same label x86 / TensorRT",
    "multiplies in INT8 x86 / TensorRT",
    "INT8 over FP32",
    "minutes",
    "tensorrt-rtx INT8",
)
NOTHING: Final = "-"


def rows_as_markdown(rows: Sequence[Row]) -> str:
    """The table, and below it a line for each graph that is missing and each row that failed."""
    good = [row for row in rows if row["state"] != FAILED]
    lines = [f"- {_name(row)}: {text}" for row in good for text in row["missing"]]
    lines += [f"- {_name(row)}: failed: {row['reason']}" for row in rows if row["state"] == FAILED]
    blocks = [table(_HEADER, [_cells(row) for row in good]), "\n".join(lines)]
    return "\n\n".join(block for block in blocks if block)


def _cells(row: Row) -> tuple[str, ...]:
    accuracy, ms = row["accuracy"], row.get("ms", {})
    return (
        row["network"],
        str(row["side_px"]),
        row["trained"],
        row["format"],
        percent(accuracy["fp32"]["rate"]),
        *(
            percent(accuracy[n]["rate"]) if n in accuracy else "refused"
            for n in ("x86", "tensorrt")
        ),
        both(row["agreement"]),
        both(row["int8_share"]),
        f"{ms['fp32'] / ms['x86']:.2f}" if "x86" in ms else NOTHING,
        f"{row['minutes']:.1f}",
        row["engine"].replace("|", "/"),
    )


def _name(row: Row) -> str:
    return f"{row['network']}, {row['format']}"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def both(shares: dict[str, Any]) -> str:
    """Of the graph for x86 and of the one for TensorRT."""
    return " / ".join(percent(shares[n]) if n in shares else NOTHING for n in ("x86", "tensorrt"))
