"""The code map and the profile of OpenELIS' bridge, by their commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.results.cli import main
from edge.results.formats.code_map import SHIPPED, load_code_map


def test_codes_printed_are_a_code_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codes"]) == 0
    (tmp_path / "codes.csv").write_text(capsys.readouterr().out)
    assert load_code_map(tmp_path / "codes.csv") == load_code_map()


def test_codes_written_to_a_file_are_found_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "codes.csv"
    assert main(["codes", "--out", str(path)]) == 0
    assert path.read_bytes() == SHIPPED.read_bytes()
    assert main(["codes", str(path)]) == 0
    assert capsys.readouterr().out.endswith(f"\n{path}: 32 codes, all right.\n")


def test_codes_that_are_wrong_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "codes.csv"
    path.write_text(SHIPPED.read_text("utf-8").replace("26511-6", "751-8"), "utf-8")
    assert main(["codes", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "row 3: property of 751-8 is NFr, LOINC says NCnc" in line


def test_profile_follows_the_code_map_of_the_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "codes.csv"
    rows = SHIPPED.read_text("utf-8").splitlines()
    path.write_text("\n".join(row for row in rows if " #," not in row), "utf-8")
    out = tmp_path / "profile.json"
    assert main(["openelis-profile", "--codes", str(path), "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    assert main(["openelis-profile"]) == 0
    short, whole = (json.loads(t) for t in (out.read_text(), capsys.readouterr().out))
    units = [{t.get("unit") for t in p["default_test_mappings"]} for p in (short, whole)]
    assert ["10*9/L" in found for found in units] == [False, True]


@pytest.mark.parametrize("command", ["codes", "openelis-profile"])
def test_out_of_a_file_that_exists_replaces_it_only_with_overwrite(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "site"
    path.write_text("the site's own")
    assert main([command, "--out", str(path)]) == 2
    assert path.read_text() == "the site's own"
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path} exists" in line
    assert main([command, "--out", str(path), "--overwrite"]) == 0
    assert path.read_text() != "the site's own"
    assert str(path) in capsys.readouterr().out
