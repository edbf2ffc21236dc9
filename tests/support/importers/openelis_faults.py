"""Faults to plant in a file for OpenELIS' bridge."""

from __future__ import annotations

from collections.abc import Callable

from edge.results.document.result import SlideResult

Fault = Callable[[bytes], bytes]


def openelis_faults(result: SlideResult) -> dict[str, Fault]:
    """By name, each for the file of this result; it has a leukocyte count."""
    sample, time = result.sample_id, result.completed.isoformat()
    return {
        "decimal comma": swap(".", ",", 30),
        "semicolons": swap(",", ";"),
        "column renamed": swap("Sample ID", "Sample"),
        "unit column named Unit": swap("Units", "Unit"),
        "no header": lambda content: content.partition(b"\n")[2],
        "blank header name": swap("Result Time", ""),
        "second Result column": columns(
            lambda row: [*row, "Result" if row[2] == "Result" else "0"]
        ),
        "quote left open": swap("23761-0,", '"23761-0,'),
        "time without offset": swap(time, time[:19]),
        "time as people write it": swap(time, "01.03.2026 08:30"),
        "id with a comma": swap(sample, f"{sample},2"),
        "id with spaces": swap(sample, f" {sample}x "),
        "less than": columns(lambda row: [*row[:2], f"<{row[2]}", *row[3:]]),
        "NaN": columns(lambda row: [*row[:2], "NaN" if row[2].isdigit() else row[2], *row[3:]]),
        "empty values": columns(lambda row: [*row[:2], "" if row[2] == "0" else row[2], *row[3:]]),
        "exponent without end": columns(lambda row: [*row[:2], f"{row[2]}e", *row[3:]]),
        "number of 49 digits": columns(lambda row: [*row[:2], row[2].zfill(49), *row[3:]]),
        "torn in a row": lambda content: content[: len(content) // 2],
        "UTF-16": lambda content: content.decode().encode("utf-16"),
        "line of a title before": lambda content: b"microscope-edge\n" + content,
        "empty": lambda _content: b"",
    }


def swap(old: str, new: str, count: int = -1) -> Fault:
    """Put one text in place of another."""
    return lambda content: content.replace(old.encode(), new.encode(), count)


def columns(change: Callable[[list[str]], list[str]]) -> Fault:
    """Change the cells of each row, the header's too."""

    def fault(content: bytes) -> bytes:
        rows = [line.split(",") for line in content.decode().splitlines()]
        return "\n".join(",".join(change(row)) for row in rows).encode()

    return fault
