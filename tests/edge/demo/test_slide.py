"""The end of the demonstration, on results of simulated slides and a folder of sidecars."""

from __future__ import annotations

from pathlib import Path
from random import Random

from edge.demo.run import Workspace
from edge.demo.slide import largest_slide, write_files
from edge.results.document.result import SlideResult
from edge.results.formats.shipped.table import FORMATS
from tests.support.errors_bundle import evidence, perfect_rows, write_errors_bundle
from tests.support.sidecar_tree import export
from tests.support.slides import simulated_slide


def a_result() -> SlideResult:
    return simulated_slide(1, Random(1))[0]  # noqa: S311


def test_files_of_every_format_lie_where_they_are_said_to(tmp_path: Path) -> None:
    result = a_result()
    said = write_files(result, tmp_path)
    assert max(len(line) for line in said.splitlines()[1:]) <= 80
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert all(str(path) in said for path in written)
    assert {path.parts[0] for path in written} == set(FORMATS) - {"senaite"}


def test_format_that_takes_no_unverified_result_gets_no_file_but_the_reason(
    tmp_path: Path,
) -> None:
    said = write_files(a_result(), tmp_path)
    assert not (tmp_path / "senaite").exists()
    assert "nobody verified the result" in said


def test_slide_with_the_most_cells_is_shown(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    tables = {"model.int8.onnx": perfect_rows(50)}
    write_errors_bundle(workspace.bundle, evidence(tables), {})
    for slide, cells in (("slide-1", 2), ("slide-2", 5)):
        for number in range(cells):
            name = f"S1/{slide}/{number}.jpg"
            export(workspace.export, name, sample_id="S1", slide_id=slide)
    result = largest_slide(workspace)
    assert result
    assert (result.sample_id, result.slide_id, len(result.cells)) == ("S1", "slide-2", 5)


def test_export_without_sidecars_shows_no_slide(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.export.mkdir()
    write_errors_bundle(workspace.bundle, evidence({}), {})
    assert largest_slide(workspace) is None
