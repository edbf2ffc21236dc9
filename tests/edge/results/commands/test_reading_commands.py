"""The commands that only read: cells, tail, verify, export."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import openpyxl
import pyarrow.parquet
import pytest

from edge.results.cli import main
from edge.trust.familiarity import Familiarity
from tests.support.sidecar_tree import export, outcome, rejected_outcome
from tests.support.waiting import until

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "export"
    export(root, "S1/a.jpg", outcome(b"a", confidence=0.97), sample_id="S1", slide_id="1")
    export(root, "S1/b.jpg", outcome(b"b", "ig", 0.55), sample_id="S1", slide_id="1")
    unidentified = outcome(b"c", "ig", 0.4, is_identified=False)
    export(root, "S2/c.jpg", unidentified, sample_id="000002")
    export(root, "S2/d.jpg", rejected_outcome(b"d"), sample_id="000002")
    return root


def run(*words: str | Path, expects: int = 0) -> None:
    assert main([*map(str, words)]) == expects


@pytest.mark.parametrize(
    ("is_identified", "text"), [(False, "unidentified (ig), too_small"), (True, "ig, too_small")]
)
def test_cell_unlike_the_laboratorys_is_shown_with_its_reason(
    tmp_path: Path, capsys: Capture, text: str, *, is_identified: bool
) -> None:
    strange = Familiarity(9.0, 3.0, passes=False, reason="too_small", shift=9.0)
    found = outcome(b"x", "ig", 0.7, is_identified=is_identified)
    export(tmp_path, "S3/x.jpg", replace(found, familiarity=strange))
    run("cells", tmp_path)
    assert text in capsys.readouterr().out.splitlines()[1]


def listed(capsys: Capture) -> list[str]:
    """The images in the table that was shown."""
    return [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]]


def test_cells_are_shown_in_order_of_their_images(tree: Path, capsys: Capture) -> None:
    run("cells", tree)
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["confidence", "label", "next", "sample", "slide", "image"]
    assert out[1].split() == ["0.970", "neutrophil", "eosinophil", "0.004", "S1", "1", "S1/a.jpg"]
    assert "unidentified (ig)" in out[3]
    assert out[4].split()[:3] == ["-", "rejected:", "truncated"]


@pytest.mark.parametrize(
    ("options", "images"),
    [
        (["--unsure"], ["S2/c.jpg", "S1/b.jpg", "S1/a.jpg", "S2/d.jpg"]),
        (["--unsure", "--limit", "2"], ["S2/c.jpg", "S1/b.jpg"]),
        (["--limit", "1"], ["S1/a.jpg"]),
        (["--class", "ig"], ["S1/b.jpg", "S2/c.jpg"]),
        (["--class", "ig", "--status", "labelled"], ["S1/b.jpg"]),
        (["--status", "rejected", "--status", "unidentified"], ["S2/c.jpg", "S2/d.jpg"]),
    ],
)
def test_cells_are_chosen_and_ordered(
    options: list[str], images: list[str], tree: Path, capsys: Capture
) -> None:
    run("cells", tree, *options)
    assert listed(capsys) == images


def test_cells_of_a_class_without_cells_or_unknown(tree: Path, capsys: Capture) -> None:
    run("cells", tree, "--class", "basophil")
    assert capsys.readouterr().out == "no such cells\n"
    run("cells", tree, "--class", "basophile", expects=2)
    assert "no cell's model has a class 'basophile'. Known: basophil," in capsys.readouterr().err


def test_cells_as_json_are_lines_with_all_values(tree: Path, capsys: Capture) -> None:
    run("cells", tree, "--json")
    cells = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [cell["image"] for cell in cells] == ["S1/a.jpg", "S1/b.jpg", "S2/c.jpg", "S2/d.jpg"]
    assert cells[2]["sample_id"] == "000002"
    assert (cells[3]["reason"], cells[3]["probabilities"]) == ("truncated", None)
    assert cells[0]["sidecar"] == str(tree / "S1/a.jpg.json")


def test_names_with_control_characters_are_escaped(tmp_path: Path, capsys: Capture) -> None:
    export(tmp_path, b"a\x1b[2J\n\xff\x85.jpg")
    run("cells", tmp_path)
    assert listed(capsys) == [r"a\x1b[2J\n\xff\x85.jpg"]
    run("cells", tmp_path, "--json")
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["image"] == "a\x1b[2J\n\\xff\\x85.jpg"


@pytest.mark.parametrize("command", ["cells", "verify", "export --csv o.csv", "tail"])
def test_path_that_is_no_folder_is_one_line(
    command: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    name, *options = command.split()
    run(name, tmp_path / "absent", *options, expects=2)
    assert "absent does not exist; give the watch folder" in capsys.readouterr().err
    run(name, tmp_path / "file", *options, expects=2)
    err = capsys.readouterr().err
    assert "file is no folder; give the watch folder" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("command", ["cells", "verify", "export --csv o.csv"])
def test_folder_without_sidecars_is_one_line(
    command: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    name, *options = command.split()
    run(name, tmp_path / "empty", *options, expects=2)
    captured = capsys.readouterr()
    assert "empty has no JSON sidecars; give" in captured.err
    assert (len(captured.err.splitlines()), captured.out) == (1, "")
    (tmp_path / "empty" / "a.txt").touch()
    run(name, tmp_path / "empty", *options, expects=2)
    assert "has no JSON sidecars (1 other file); give" in capsys.readouterr().err


def test_bad_sidecar_is_told_and_the_rest_goes_on(tree: Path, capsys: Capture) -> None:
    (tree / "S1/a.jpg.json").write_text("{")
    run("cells", tree)
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 4
    (line,) = captured.err.splitlines()
    assert line.startswith(f"held: {tree}/S1/a.jpg.json: not whole JSON")


def test_verify_of_a_whole_tree_ends_with_0(tmp_path: Path, capsys: Capture) -> None:
    export(tmp_path, "a.jpg")
    run("verify", tmp_path)
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "no problem found"
    assert ["images", "with", "the", "bytes", "that", "were", "labelled", "1"] in [
        line.split() for line in out.splitlines()
    ]


def test_verify_with_a_problem_ends_with_1(tmp_path: Path, capsys: Capture) -> None:
    export(tmp_path, "a.jpg")
    export(tmp_path, "b.jpg")
    (tmp_path / "a.jpg").write_bytes(b"other")
    run("verify", tmp_path, expects=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"image_changed: {tmp_path}/a.jpg: the image has other bytes")
    assert lines[-1].split() == ["problem:", "image_changed", "1"]


def test_verify_of_a_results_folder_alone_says_what_was_not_checked(
    tmp_path: Path, capsys: Capture
) -> None:
    export(tmp_path / "export", "a.jpg", results=tmp_path / "results")
    run("verify", tmp_path / "results")
    assert "no images here, so none were checked; give" in capsys.readouterr().out
    run("verify", tmp_path / "results", "--images", tmp_path / "export")
    assert "none were checked" not in capsys.readouterr().out


def test_verify_of_a_tree_with_bad_sidecars_alone_ends_with_1(
    tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "a.jpg.json").touch()
    run("verify", tmp_path, expects=1)
    assert capsys.readouterr().out.startswith(f"not_json: {tmp_path}/a.jpg.json: empty\n")


def test_exported_csv_has_all_cells_and_ids_as_they_are(
    tmp_path: Path, tree: Path, capsys: Capture
) -> None:
    export(tree, "=e.jpg", sample_id="=W1234", slide_id="007")
    run("export", tree, "--csv", tmp_path / "cells.csv")
    assert capsys.readouterr().out == f"5 cells in {tmp_path}/cells.csv\n"
    content = (tmp_path / "cells.csv").read_bytes().decode()
    rows = [*csv.DictReader(io.StringIO(content, newline=""))]
    assert [row["image_file"] for row in rows] == ["'=e.jpg", "a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert [row["sample_id"] for row in rows] == ["=W1234", "S1", "S1", "000002", "000002"]
    assert (rows[0]["slide_id"], rows[4]["reason"], rows[4]["confidence"]) == (
        "007",
        "truncated",
        "",
    )
    assert rows[0]["created"] == "2026-11-23T08:14:03.131000+00:00"


def test_exported_files_of_the_three_forms_agree(tmp_path: Path, tree: Path) -> None:
    for form in ("csv", "xlsx", "parquet"):
        run("export", tree, f"--{form}", tmp_path / f"cells.{form}")
    text = (tmp_path / "cells.csv").read_bytes().decode()
    heading, *rows = csv.reader(io.StringIO(text, newline=""))
    sheet = openpyxl.load_workbook(tmp_path / "cells.xlsx").active
    in_sheet = [["" if v is None else str(v) for v in row] for row in sheet.values]
    assert in_sheet == [heading, *rows]
    table = pyarrow.parquet.read_table(tmp_path / "cells.parquet").to_pydict()
    assert table["sample_id"] == [row[heading.index("sample_id")] for row in rows]


def test_export_replaces_a_file_only_where_it_may(
    tmp_path: Path, tree: Path, capsys: Capture
) -> None:
    target = tmp_path / "cells.csv"
    target.write_text("mine")
    run("export", tree, "--csv", target, expects=2)
    assert "cells.csv exists; give another file, or allow it" in capsys.readouterr().err
    assert target.read_text() == "mine"
    run("export", tree, "--csv", target, "--overwrite")
    assert target.read_text().startswith("status,image_folder,")
    run("export", tree, "--csv", tmp_path / "absent" / "cells.csv", expects=2)
    assert "absent is no folder; make it" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.csv", "export"]


def test_export_to_parquet_without_pyarrow_says_so_before_it_reads(
    tmp_path: Path, tree: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.results.reading.table.importlib.util.find_spec", lambda _: None)
    run("export", tree, "--parquet", tmp_path / "cells.parquet", expects=5)
    assert capsys.readouterr().err == (
        "error: pyarrow is not installed. Install it: pip install pyarrow.\n"
    )


@pytest.mark.parametrize("options", [[], ["--csv", "a", "--xlsx", "b"]])
def test_export_to_no_or_two_files_is_wrong_usage(options: list[str], tree: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", str(tree), *options])
    assert ended.value.code == 2


# Where the tests run in the background, their processes would ignore Ctrl-C.
TAIL = """\
import signal, sys
from edge.results.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(["tail", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("is_json", [False, True])
def test_tail_tells_new_cells_and_ends_with_ctrl_c(
    is_json: bool,  # noqa: FBT001 - of parametrize
    tree: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    words = [sys.executable, "-c", TAIL, str(tree), "-n", "1"]
    with out.open("wb") as stdout:
        process = subprocess.Popen(
            [*words, *(["--json"] if is_json else [])], stdout=stdout, stderr=subprocess.PIPE
        )
        try:
            until(lambda: out.read_text().count("\n") == 1, timeout_s=60)
            export(tree, "S3/new.jpg", outcome(b"new", "basophil", 0.875))
            until(lambda: out.read_text().count("\n") == 2, timeout_s=60)
        finally:
            os.kill(process.pid, signal.SIGINT)
            _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    line = out.read_text().splitlines()[1]
    if is_json:
        assert json.loads(line)["image"] == "S3/new.jpg"
    else:
        assert line == "08:14:03 S3/new.jpg basophil 0.875"


def test_commands_that_only_read_load_no_image_library() -> None:
    code = (
        "import sys, edge.results.commands.verify, edge.results.commands.export\n"
        "print(sorted({'cv2', 'onnxruntime', 'torch', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
