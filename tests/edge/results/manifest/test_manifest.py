"""Tests for edge.results.manifest, with the bytes that spreadsheets and scripts write."""

from __future__ import annotations

import codecs
import os
import unicodedata
from pathlib import Path

import pytest

from edge.results.manifest.manifest import Manifest, ManifestRow, parse_manifest, read_manifest
from edge.text.rfc3339 import moment_of

HEADER = "path,sample_id,slide_id,cells,wbc,collected\n"
ROW = "S1/slide-1,S1,slide-1,100,7.3,2026-11-23T08:00:00+01:00\n"
EXPECTED = ManifestRow(
    *(2, "S1/slide-1", "S1", "slide-1", 100, 7.3),
    collected=moment_of("2026-11-23T08:00:00+01:00"),
    problem=None,
)


def parsed(text: str | bytes) -> Manifest:
    return parse_manifest(text if isinstance(text, bytes) else text.encode(), "manifest.csv")


def only(text: str | bytes) -> ManifestRow:
    (row,) = parsed(text).rows
    return row


@pytest.mark.parametrize(
    "content",
    [
        HEADER + ROW,
        codecs.BOM_UTF8 + (HEADER + ROW).encode(),
        codecs.BOM_UTF16_LE + (HEADER + ROW).replace(",", "\t").encode("utf-16-le"),
        (HEADER + ROW).replace("\n", "\r\n"),
        (HEADER + ROW).replace(",", ";").replace("7.3", "7,3"),
        (HEADER + ROW).replace(",", "\t"),
        HEADER + ROW.replace("S1/slide-1,", '"S1/slide-1",').replace("100", '"100"'),
        HEADER.replace("sample_id", "Sample ID").replace("wbc", " WBC ") + ROW,
        HEADER + ROW.replace("S1/slide-1,", "S1\\slide-1\\,"),
        HEADER.replace("\n", ",,\n") + ROW,
        HEADER.replace("collected", "collected,note") + ROW.replace("\n", ',"by hand, urgent"\n'),
    ],
)
def test_manifest_of_any_spreadsheet_gives_the_same_row(content: str | bytes) -> None:
    assert only(content) == EXPECTED


def test_manifest_with_a_hint_of_excel_gives_the_row_with_its_line_in_the_file() -> None:
    text = ("sep=;\r\n" + HEADER + "\r\n\r\n" + ROW).replace(",", ";")
    assert only(text).line == 5
    assert only(text).wbc == 7.3


def test_manifest_ids_are_as_written() -> None:
    text = HEADER + '"a,b","=W1234 ""x"" | ^","Ä",,,\n'
    row = only(text)
    assert (row.path, row.sample_id, row.slide_id) == ("a,b", '=W1234 "x" | ^', "Ä")
    nfd = unicodedata.normalize("NFD", "Müller")
    assert only(f"path,sample_id\nx,{nfd}\n").sample_id == nfd
    assert only("path,sample_id\nx,000123\n").sample_id == "000123"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "has no header; the first line names columns: path, sample_id"),
        ("\n\n", "has no header"),
        ("path;slide_id\n", "has no column sample_id"),
        ("sample_id\n", "has no column path"),
        (
            "path,sample_id,wcb\n",
            "has an unknown name in column 3 of its header; did you mean wbc?",
        ),
        (
            "path,sample_id,Bemerkung\n",
            "has an unknown name in column 3 of its header; known are path,",
        ),
        ("path,sample_id,path\n", "has a column twice"),
        (HEADER + 'a,"S1,,,,\n', "is no CSV at line 2"),
        (HEADER + 'a,"S1"2,,,,\n', "is no CSV at line 2"),
        ((HEADER + "Müller,S1,,,,\n").encode("cp1252"), "is not UTF-8: save it as 'CSV UTF-8'"),
        (HEADER + "a\x00b,S1,,,,\n", "is no CSV"),
    ],
)
def test_manifest_that_cannot_be_read_says_why_in_one_line(content: str | bytes, text: str) -> None:
    manifest = parsed(content)
    assert text in (manifest.problem or "")
    assert "\n" not in (manifest.problem or "")
    assert manifest.rows == ()


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("a,S1,,100,7,3,2026\n", "has 7 cells, the header has 6"),
        ("a,S1\n", "has 2 cells, the header has 6"),
        ("a,,,,,\n", "has no sample_id"),
        ("a,  ,,,,\n", "has a sample_id that is empty"),
        ("a, S1,,,,\n", "has a sample_id that begins or ends with a space"),
        ("a,S1\u200b,,,,\n", "has a sample_id that has a control character or an invisible"),
        ("a,S1,x ,,,\n", "has a slide_id that begins or ends with a space"),
        ("a,1.23E+11,,,,\n", "a spreadsheet has shortened"),
        (",S1,,,,\n", "has no path"),
        ("../a,S1,,,,\n", "has no path relative"),
        ("/a,S1,,,,\n", "has no path relative"),
        ("C:\\a,S1,,,,\n", "has no path relative"),
        ("a,S1,,many,,\n", "has no whole number from 1 in cells"),
        ("a,S1,,0,,\n", "has no whole number from 1 in cells"),
        ("a,S1,,-1,,\n", "has no whole number from 1 in cells"),
        ("a,S1,,1.5,,\n", "has no whole number from 1 in cells"),
        ("a,S1,,\u0661,,\n", "has no whole number from 1 in cells"),
        ("a,S1,,,7300,\n", "has no 10^9 per litre above 0 and at most 2000 in wbc"),
        ("a,S1,,,nan,\n", "has no 10^9 per litre above 0"),
        ("a,S1,,,0,\n", "has no 10^9 per litre above 0"),
        ("a,S1,,,1e1,\n", "has no 10^9 per litre above 0"),
        ('a,S1,,,"7,3",\n', "has no 10^9 per litre above 0"),
        (
            "a,S1,,,,23.11.2026 08:00\n",
            "has no time such as 2026-11-23T09:14:03+01:00 in collected",
        ),
        (
            "a,S1,,,,2026-11-23T08:00:00\n",
            "has no time such as 2026-11-23T09:14:03+01:00 in collected",
        ),
        ("a,S1,,,,", "may be cut"),
        ("a,S", "has 2 cells"),
    ],
)
def test_manifest_row_that_is_wrong_says_why_and_the_others_are_used(row: str, text: str) -> None:
    good, wrong = parsed(HEADER + ROW + row).rows
    assert good == EXPECTED
    assert text in (wrong.problem or "")
    assert "\n" not in (wrong.problem or "")


def test_manifest_repeated_row_is_told_and_used_once() -> None:
    manifest = parsed(HEADER + ROW + ROW.replace("slide-1,S1", "slide-1/,S1") + ROW)
    assert manifest.rows == (EXPECTED,)
    assert manifest.repeated == (3, 4)


@pytest.mark.parametrize(
    ("path", "named", "not_named"),
    [
        ("S1/slide-1", ["S1/slide-1/1.jpg", "S1/slide-1/a/1.jpg"], ["S1/slide-10/1.jpg", "S1/1"]),
        ("S1/1.jpg", ["S1/1.jpg"], ["S1/11.jpg", "S1/1.jpg.x"]),
        ("*/slide-1/*.jpg", ["a/slide-1/1.jpg"], ["a/b/slide-1/1.jpg", "a/slide-1/b/1.jpg"]),
        ("S1/**", ["S1/1.jpg", "S1/a/b.jpg"], ["S10/1.jpg"]),
        ("**/1.jpg", ["1.jpg", "a/b/1.jpg"], ["a/11.jpg"]),
        ("S1/?.jpg", ["S1/1.jpg"], ["S1/11.jpg", "S1/a/.jpg"]),
        ("S1/[1].jpg", ["S1/[1].jpg"], ["S1/1.jpg"]),
        (".", ["1.jpg", "a/1.jpg"], []),
        (unicodedata.normalize("NFD", "Ä"), ["Ä/1.jpg"], ["A/1.jpg"]),
        ("Ä", [unicodedata.normalize("NFD", "Ä/1.jpg")], []),
    ],
)
def test_rows_for_images_are_those_of_path_folder_or_pattern(
    path: str, named: list[str], not_named: list[str]
) -> None:
    manifest = parsed(f"path,sample_id\n{path},S1\n")
    assert [bool(manifest.rows_for(image)) for image in named] == [True] * len(named)
    assert [bool(manifest.rows_for(image)) for image in not_named] == [False] * len(not_named)


@pytest.mark.parametrize(
    ("path", "folder"),
    [("S1/a", "S1/a"), ("*/a", "."), ("S1/*/a", "S1"), ("S1/a*.jpg", "S1"), (".", ".")],
)
def test_row_folder_is_what_is_fixed_of_its_path(path: str, folder: str) -> None:
    assert only(f"path,sample_id\n{path},S1\n").folder == folder


def test_read_manifest_of_file_pipe_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(HEADER + ROW)
    assert read_manifest(tmp_path / "manifest.csv").rows == (EXPECTED,)
    os.mkfifo(tmp_path / "pipe")
    assert "cannot be read" in (read_manifest(tmp_path / "pipe").problem or "")
    assert "cannot be read" in (read_manifest(tmp_path / "none").problem or "")


@pytest.mark.parametrize(
    "content",
    [
        "run-1,PATIENT7,1,20\n",
        "path,sample_id,cells\nrun-1,1,PATIENT7\n",
        "path,sample_id,wbc\nrun-1,1,PATIENT7\n",
        "path,sample_id,collected\nrun-1,1,PATIENT7\n",
    ],
)
def test_problem_of_a_manifest_never_quotes_an_id(content: str) -> None:
    manifest = parse_manifest(content.encode(), "manifest.csv")
    problem = manifest.problem or manifest.rows[0].problem
    assert problem
    assert "patient7" not in problem.casefold()
