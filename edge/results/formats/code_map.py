"""Loads the code map: which LOINC code, local code and unit each analyte has in each state.

The table has the columns of LIVD, the form in which makers of analyzers publish LOINC codes (IICC,
https://ivdconnectivity.org/livd), and three of ours: `Analyte`, `State` and `Unit`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.results.document.result import LEUKOCYTES
from edge.results.formats.codes import (
    ANALYTES,
    CELLS_COUNTED,
    ERYTHROBLASTS_PER_100_WBC,
    PANEL,
    PLATELET_PRESENCE,
    Analyte,
    Code,
    CodeMap,
    number_of,
    percent_of,
)
from edge.results.formats.loinc import (
    AUTOMATED,
    MANUAL,
    NO_PROPERTY,
    TERMS,
    UNITS,
    Term,
    check_digit,
    is_loinc,
)
from edge.text.nearest import nearest
from edge.text.printable import printable

SHIPPED: Final = Path(__file__).with_name("codes.csv")
COLUMNS: Final = (
    "Vendor Analyte Code",
    "LOINC Code",
    "LOINC Long Name",
    "Property",
    "Method",
    "Analyte",
    "State",
    "Unit",
)
UNVERIFIED: Final = "preliminary"
VERIFIED: Final = "verified"
# A site may leave out numbers per litre and the number of cells, but no class.
NEEDED: Final = (
    PANEL,
    *map(percent_of, LEUKOCYTES),
    ERYTHROBLASTS_PER_100_WBC,
    PLATELET_PRESENCE,
)
PANELS: Final = {UNVERIFIED: "69738-3", VERIFIED: "24318-8"}
# LOINC has no codes of manual counts for these; verified results keep the method-less ones.
_WITHOUT_MANUAL: Final = {
    percent_of("ig"),
    number_of("ig"),
    PLATELET_PRESENCE,
    CELLS_COUNTED,
}
_PROPERTY: Final[dict[Analyte, str]] = {
    PANEL: NO_PROPERTY,
    **dict.fromkeys(map(percent_of, LEUKOCYTES), "NFr"),
    **dict.fromkeys(map(number_of, LEUKOCYTES), "NCnc"),
    ERYTHROBLASTS_PER_100_WBC: "Ratio",
    PLATELET_PRESENCE: "PrThr",
    CELLS_COUNTED: "Num",
}
# What SENAITE, OpenELIS and HL7 take as it is.
_LOCAL_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]{0,19}", re.ASCII)
_LARGEST_BYTES: Final = 1 << 20


def load_code_map(path: Path | None = None) -> CodeMap:
    """The code map of a site, or the shipped one.

    Raises:
        ConfigError: it cannot be read, or a row would report a result under a wrong code; the line
            names the row (the header is row 1), what was found and what was needed.
    """
    path = path or SHIPPED
    rows = [_checked(row) for row in _read_rows(path)]
    found: dict[str, dict[Analyte, Code]] = {UNVERIFIED: {}, VERIFIED: {}}
    owners: dict[tuple[str, str], Analyte] = {}
    for row in rows:
        _claim(row, owners)
        if row.code.analyte in found[row.state]:
            raise row.wrong(f"{row.state} '{row.code.analyte}' is given twice, needed once")
        found[row.state][row.code.analyte] = row.code
    _check_whole(path, found)
    ordered = {
        state: {analyte: codes[analyte] for analyte in ANALYTES if analyte in codes}
        for state, codes in found.items()
    }
    return CodeMap(method_less=ordered[UNVERIFIED], manual=ordered[VERIFIED])


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: its place in the file, and its cells without spaces around them."""

    path: Path
    number: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def wrong(self, what: str) -> ConfigError:
        """The error for this row."""
        return ConfigError(f"{self.path} row {self.number}: {printable(what)}. Correct the row.")


@dataclass(frozen=True, slots=True)
class _CheckedRow:
    row: _Row
    state: str
    code: Code

    def wrong(self, what: str) -> ConfigError:
        return self.row.wrong(what)


def _read_rows(path: Path) -> Iterator[_Row]:
    lines = _read_lines(path)
    header = [cell.strip() for cell in lines[0]] if lines else []
    missing = [column for column in COLUMNS if header.count(column) != 1]
    if missing:
        near = nearest(missing[0], set(header).difference(COLUMNS))
        there = f", but {printable(near)!r}" if near else ""
        needed = f"needed are: {', '.join(COLUMNS)}"
        raise ConfigError(f"{path} has not one column '{missing[0]}' in row 1{there}; {needed}.")
    for number, line in enumerate(lines[1:], start=2):
        cells = [cell.strip() for cell in line]
        if any(cells):
            yield _Row(path, number, dict(zip(header, cells + [""] * len(header), strict=False)))


def _read_lines(path: Path) -> list[list[str]]:
    text = _read_text(path)
    first = text.partition("\n")[0]
    # Spreadsheets of countries with a decimal comma separate columns by semicolons.
    delimiter = ";" if first.count(";") > first.count(",") else ","
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ConfigError(f"the code map {path} is not a CSV table: {error}.") from error


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the code map {path}: {error.strerror}.") from error
    if len(content) > _LARGEST_BYTES:
        raise ConfigError(f"the code map {path} is larger than 1 MiB; give the table of codes.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"the code map {path} is not UTF-8; save it as CSV UTF-8.") from error


def _checked(row: _Row) -> _CheckedRow:
    analyte, state = row["Analyte"], row["State"]
    if analyte not in ANALYTES:
        raise row.wrong(f"analyte is '{analyte}', {_needed(analyte, ANALYTES)}")
    if state not in PANELS:
        raise row.wrong(f"state is '{state}', {_needed(state, (UNVERIFIED, VERIFIED))}")
    term = _checked_term(row)
    _check_unit(row, analyte, term)
    _check_method(row, analyte, state, term)
    local = row["Vendor Analyte Code"]
    # SENAITE takes a column of this name for the end of a table.
    if not _LOCAL_CODE.fullmatch(local) or local.lower() == "end":
        raise row.wrong(
            f"Vendor Analyte Code is '{local}', needed 1 to 20 letters, digits and _ - + . that "
            "begin with a letter or digit, and not 'end'"
        )
    if not row["LOINC Long Name"]:
        raise row.wrong("LOINC Long Name is empty, needed the name of the code")
    code = Code(analyte, local, row["LOINC Code"], row["LOINC Long Name"], row["Unit"])
    return _CheckedRow(row, state, code)


def _needed(given: str, known: Sequence[str]) -> str:
    near = nearest(given, known)
    return f"did you mean '{near}'" if near else f"needed one of {', '.join(known)}"


def _checked_term(row: _Row) -> Term:
    loinc = row["LOINC Code"]
    if not is_loinc(loinc):
        raise row.wrong(f"LOINC code is '{loinc}', needed digits, '-' and a check digit")
    if loinc[-1] != check_digit(loinc):
        raise row.wrong(
            f"LOINC code {loinc} ends in {loinc[-1]}, its check digit is {check_digit(loinc)}"
        )
    given = Term(row["Property"], row["Method"])
    known = TERMS.get(loinc)
    if known is None:
        if given.property not in UNITS:
            raise row.wrong(
                f"property of {loinc} is '{given.property}', needed the one that LOINC gives it, "
                f"one of {', '.join(UNITS)}"
            )
        return given
    if given.property not in {"", known.property}:
        raise row.wrong(f"property of {loinc} is {given.property}, LOINC says {known.property}")
    if given.method not in {"", known.method}:
        raise row.wrong(f"method of {loinc} is {given.method}, LOINC says {known.method or 'none'}")
    return known


def _check_unit(row: _Row, analyte: Analyte, term: Term) -> None:
    unit, units = row["Unit"], UNITS[term.property]
    if unit not in units:
        raise row.wrong(
            f"unit of {row['LOINC Code']} is '{unit}', its LOINC property {term.property} needs "
            f"{' or '.join(u or 'no unit' for u in units)}"
        )
    if term.property != _PROPERTY[analyte]:
        raise row.wrong(
            f"{row['LOINC Code']} has LOINC property {term.property}, "
            f"'{analyte}' needs {_PROPERTY[analyte]}"
        )


def _check_method(row: _Row, analyte: Analyte, state: str, term: Term) -> None:
    loinc = row["LOINC Code"]
    if analyte == PANEL and loinc != PANELS[state]:
        raise row.wrong(f"{state} panel is {loinc}, needed {PANELS[state]}")
    if state == UNVERIFIED and term.method:
        raise row.wrong(
            f"{loinc} is for {term.method}, needed a code without method while nobody verified"
        )
    if state == VERIFIED and analyte not in _WITHOUT_MANUAL and term.method != MANUAL:
        raise row.wrong(
            f"{loinc} is for method '{term.method}', verified '{analyte}' needs {MANUAL}"
        )
    if term.method == AUTOMATED:
        raise row.wrong(f"{loinc} is for {term.method} by a cell counter, needed another")


def _claim(row: _CheckedRow, owners: dict[tuple[str, str], Analyte]) -> None:
    """Refuses a code that stands for two analytes: results would be stored as one."""
    for kind, code in (("LOINC code", row.code.loinc), ("Vendor Analyte Code", row.code.local)):
        owner = owners.setdefault((kind, code.lower()), row.code.analyte)
        if owner != row.code.analyte:
            raise row.wrong(
                f"{kind} {code} is of '{owner}' in another row, '{row.code.analyte}' needs its own"
            )


def _check_whole(path: Path, found: dict[str, dict[Analyte, Code]]) -> None:
    both = found[UNVERIFIED].keys() | found[VERIFIED].keys()
    for analyte in (*NEEDED, *sorted(both - set(NEEDED))):
        for state, codes in found.items():
            if analyte not in codes:
                raise ConfigError(
                    f"{path} has no row for {state} '{analyte}'; needed is one for each state."
                )
