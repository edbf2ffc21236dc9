"""Faults to plant in a file for SENAITE."""

from __future__ import annotations

from collections.abc import Callable

Fault = Callable[[str], str]


def senaite_faults(sample: str) -> dict[str, Fault]:
    """By name, each for the file of a result of this sample."""
    return {
        "no trailing comma": in_row(lambda cells: cells[:-1]),
        "header without end": lambda text: text.replace(",end\n", "\n", 1),
        "quoted": in_row(lambda cells: [f'"{cell}"' for cell in cells]),
        "semicolons": lambda text: text.replace(",", ";"),
        "decimal comma": first_value("60,5"),
        "empty cell": first_value(""),
        "NaN": first_value("nan"),
        "infinite": first_value("1e400"),
        "negative": first_value("-5"),
        "not done": first_value("ND"),
        "less than": first_value("<1"),
        "unit in the cell": first_value("60%"),
        "id is end": lambda text: text.replace(sample, "end"),
        "id twice": lambda text: text.replace("end,,", f"{sample},1,1,\nend,,", 1),
        "id with a comma": lambda text: text.replace(sample, f"{sample},1"),
        "id with spaces": lambda text: text.replace(sample, f" {sample} x "),
        "keyword with a percent sign": lambda text: text.replace("NEUT", "NEUT%"),
        "title before the header": lambda text: "\n" + text.replace("EOS", "EO"),
        "columns swapped": lambda text: text.replace("NEUT,EOS", "EOS,NEUT"),
        "torn in a row": lambda text: text[: text.index(sample) + len(sample) + 6],
        "empty": lambda _text: "",
    }


def in_row(change: Callable[[list[str]], list[str]]) -> Fault:
    """Change the cells of the only row."""

    def fault(text: str) -> str:
        header, row, end = text.splitlines()
        return "\n".join((header, ",".join(change(row.split(","))), end))

    return fault


def first_value(value: str) -> Fault:
    """Put a value in the place of the first."""
    return in_row(lambda cells: [cells[0], value, *cells[2:]])
