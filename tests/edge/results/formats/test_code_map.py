"""A wrong code map is refused in one line; the shipped one is right."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.results.document.result import LEUKOCYTES, State
from edge.results.formats.code_map import SHIPPED, load_code_map
from edge.results.formats.codes import CodeMap
from edge.results.formats.loinc import TERMS, check_digit, is_loinc

Rows = list[dict[str, str]]
Edit = Callable[[Rows], None]


@pytest.fixture(scope="module")
def shipped() -> CodeMap:
    return load_code_map()


def rows_of_shipped() -> Rows:
    return list(csv.DictReader(io.StringIO(SHIPPED.read_text("utf-8"), newline="")))


def write(path: Path, rows: Rows, *, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def row(rows: Rows, analyte: str, state: str = "verified") -> dict[str, str]:
    return next(r for r in rows if r["Analyte"] == analyte and r["State"] == state)


def test_shipped_map_has_the_panels_of_each_state(shipped: CodeMap) -> None:
    panels = {state: code.loinc for state in State if (code := shipped.code("panel", state))}
    assert panels == {"preliminary": "69738-3", "final": "24318-8", "corrected": "24318-8"}


def test_shipped_map_has_manual_codes_in_verified_results_alone(shipped: CodeMap) -> None:
    assert not any("Manual" in code.display for code in shipped.method_less.values())
    others = [c.analyte for c in shipped.manual.values() if "Manual" not in c.display]
    assert others == ["ig %", "platelet presence", "cells counted", "ig #"]


def test_shipped_map_gives_each_class_a_percent_in_both_states(shipped: CodeMap) -> None:
    for state in State:
        codes = [shipped.code(f"{name} %", state) for name in LEUKOCYTES]
        assert [code.unit if code else None for code in codes] == ["%"] * 6


@pytest.mark.parametrize("code", TERMS)
def test_known_code_has_its_check_digit(code: str) -> None:
    assert is_loinc(code)
    assert check_digit(code) == code[-1]


def edited(analyte: str, state: str = "verified", **cells: str) -> Edit:
    def edit(rows: Rows) -> None:
        row(rows, analyte, state).update({k.replace("_", " "): v for k, v in cells.items()})

    return edit


def as_in_mindray_profile(analyte: str, loinc: str) -> Edit:
    """The row of OpenELIS' profile of the Mindray BC-5380, version 1.2.0: a count as percent."""
    return edited(analyte, "preliminary", LOINC_Code=loinc, Property="", Method="")


def without(analyte: str, state: str) -> Edit:
    return lambda rows: rows.remove(row(rows, analyte, state))


def doubled(analyte: str) -> Edit:
    return lambda rows: rows.append(dict(row(rows, analyte)))


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (as_in_mindray_profile("neutrophil %", "751-8"), "row 3: unit of 751-8 is '%', its LOINC"),
        (as_in_mindray_profile("monocyte %", "742-7"), "property NCnc needs 10*9/L or 10*3/uL"),
        (as_in_mindray_profile("eosinophil %", "711-2"), "row 4: unit of 711-2 is '%'"),
        (as_in_mindray_profile("basophil %", "704-7"), "row 5: unit of 704-7 is '%'"),
        (edited("ig %", LOINC_Code="30392-1"), "30392-1 ends in 1, its check digit is 5"),
        (edited("ig %", LOINC_Code="IG"), "LOINC code is 'IG', needed digits, '-' and a check"),
        (edited("ig %", Unit="percent"), "unit of 38518-7 is 'percent'"),
        (edited("neutrophil #", Unit="/uL"), "unit of 753-4 is '/uL'"),
        (edited("erythroblast /100 WBC", Unit="%"), "unit of 18309-5 is '%'"),
        (edited("cells counted", Unit=""), "unit of 11282-1 is ''"),
        (edited("platelet presence", LOINC_Code="49497-1", Property=""), "NCnc needs 10*9/L"),
        (edited("ig %", LOINC_Code="51584-1", Property="", Unit="10*9/L"), "'ig %' needs NFr"),
        (edited("ig %", Property="NCnc"), "property of 38518-7 is NCnc, LOINC says NFr"),
        (edited("ig %", Method="Manual count"), "method of 38518-7 is Manual count, LOINC says no"),
        (edited("ig %", LOINC_Code="40000-2", Property=""), "property of 40000-2 is '', needed"),
        (edited("ig %", LOINC_Code="71695-1", Method=""), "71695-1 is for Automated count"),
        (edited("neutrophil %", LOINC_Code="26511-6", Method=""), "verified 'neutrophil %' needs"),
        (
            edited("neutrophil %", "preliminary", LOINC_Code="23761-0"),
            "23761-0 is for Manual count, needed a code without method while nobody verified",
        ),
        (edited("panel", "preliminary", LOINC_Code="24318-8"), "preliminary panel is 24318-8"),
        (edited("panel", LOINC_Code="69738-3", Method=""), "verified panel is 69738-3, needed 24"),
        (edited("ig %", Analyte="blast %"), "analyte is 'blast %', needed one of panel,"),
        (edited("ig %", State="final"), "state is 'final', needed one of preliminary, verified"),
        (edited("ig %", State="verifed"), "state is 'verifed', did you mean 'verified'"),
        (edited("ig %", Analyte="IG  %"), "analyte is 'IG  %', did you mean 'ig %'"),
        (edited("ig %", Vendor_Analyte_Code="EOS"), "Vendor Analyte Code EOS is of 'eosinophil %'"),
        (edited("ig %", Vendor_Analyte_Code="end"), "and not 'end'"),
        (edited("ig %", Vendor_Analyte_Code="=IG"), "Vendor Analyte Code is '=IG'"),
        (edited("ig %", Vendor_Analyte_Code="I,G"), "Vendor Analyte Code is 'I,G'"),
        (edited("eosinophil %", LOINC_Code="707-0"), "LOINC code 707-0 is of 'eosinophil %' in"),
        (edited("ig %", LOINC_Long_Name=""), "LOINC Long Name is empty"),
        (without("ig %", "verified"), "has no row for verified 'ig %'"),
        (without("ig #", "preliminary"), "has no row for preliminary 'ig #'"),
        (without("platelet presence", "preliminary"), "no row for preliminary 'platelet presence'"),
        (doubled("ig %"), "verified 'ig %' is given twice, needed once"),
    ],
)
def test_wrong_map_is_refused_in_one_line(tmp_path: Path, edit: Edit, says: str) -> None:
    rows = rows_of_shipped()
    edit(rows)
    with pytest.raises(ConfigError) as refused:
        load_code_map(write(tmp_path / "codes.csv", rows))
    message = str(refused.value)
    assert says in message
    assert "\n" not in message
    assert refused.value.exit_code == 2


def test_code_of_a_site_with_its_property_is_taken(tmp_path: Path) -> None:
    rows = rows_of_shipped()
    edited("ig %", LOINC_Code="40000-2", Property="NFr", Method="")(rows)
    code = load_code_map(write(tmp_path / "codes.csv", rows)).code("ig %", State.FINAL)
    assert code is not None
    assert code.loinc == "40000-2"


def test_map_without_numbers_per_litre_reports_none(tmp_path: Path) -> None:
    rows = [r for r in rows_of_shipped() if not r["Analyte"].endswith("#")]
    codes = load_code_map(write(tmp_path / "codes.csv", rows))
    assert codes.code("neutrophil #", State.FINAL) is None


@pytest.mark.parametrize(("delimiter", "encoding"), [(";", "utf-8"), (",", "utf-8-sig")])
def test_map_as_a_spreadsheet_saves_it_is_read(
    tmp_path: Path, shipped: CodeMap, delimiter: str, encoding: str
) -> None:
    path = tmp_path / "codes.csv"
    write(path, rows_of_shipped(), delimiter=delimiter, encoding=encoding)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(delimiter * 13 + "\r\n\r\n")
    assert load_code_map(path) == shipped


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot read the code map"),
        (b"", "has not one column 'Vendor Analyte Code' in row 1"),
        (b"Vendor Analyte Code,LOINC Code\n", "has not one column 'LOINC Long Name'"),
        (b"\xff\xfe", "is not UTF-8"),
        (b'"a\n', "is not a CSV table"),
        (b"," * (1 << 20) + b"\n", "larger than 1 MiB"),
    ],
)
def test_file_that_is_no_code_map_is_refused(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "codes.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        load_code_map(path)
