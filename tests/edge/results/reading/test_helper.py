"""What the second process reads is what the first would have read."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from edge.results.reading import sidecars
from edge.results.reading.helper import Helper, Slice
from edge.results.reading.problem import Problem
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.reading.sidecars import read_sidecars
from edge.results.reading.tree import Tally
from edge.sidecar import to_json
from tests.support.sidecar_tree import export, fields_of, outcome, rejected_outcome
from tests.support.waiting import until

CELLS = 1200


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Cells, problems and other files in several folders."""
    root = tmp_path / "results"
    content = to_json(fields_of(outcome(b"x"), b"00000.jpg", "S1"))
    for number in range(CELLS):
        folder = root / f"S{number // 500}" / b"f\xe9".decode(errors="surrogateescape")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:05}.jpg.json"
        path.write_bytes(content.replace(b"00000.jpg", b"%05d.jpg" % number))
        if number % 100 == 0:
            path.write_bytes(content[:300])
            (folder / f"{number}.json").write_text("{}")
    export(root, "S9/a.jpg", rejected_outcome(b"a"))
    export(root, "S9/b.jpg", outcome(b"b", "ig", 0.4, is_identified=False))
    return root


def read(path: Path) -> tuple[list[SidecarCell], list[Problem], Tally]:
    problems: list[Problem] = []
    tally = Tally()
    return list(read_sidecars(path, problems.append, tally=tally)), problems, tally


@pytest.fixture
def alone(tree: Path) -> tuple[list[SidecarCell], list[Problem], Tally]:
    """Read by one process, as there are few."""
    found = read(tree)
    assert len(found[0]) == CELLS - CELLS // 100 + 2
    return found


@pytest.fixture
def _with_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper from the first file on, and small slices, so that both processes read."""
    monkeypatch.setattr(sidecars, "HELPER_AFTER", 0)
    monkeypatch.setattr(sidecars, "_SLICE", 7)
    monkeypatch.setattr(sidecars, "_processors", lambda: 2)


@pytest.mark.usefixtures("_with_helper")
def test_two_processes_read_the_same_in_the_same_order(
    alone: tuple[list[SidecarCell], list[Problem], Tally], tree: Path
) -> None:
    assert read(tree) == alone


@pytest.mark.usefixtures("_with_helper")
@pytest.mark.parametrize("after", [0, 1, 300])
def test_helper_that_is_killed_loses_and_doubles_nothing(
    after: int,
    alone: tuple[list[SidecarCell], list[Problem], Tally],
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[int] = []
    popen = subprocess.Popen

    def start(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = popen(*words, **options)
        started.append(process.pid)
        return process

    monkeypatch.setattr(subprocess, "Popen", start)
    problems: list[Problem] = []
    tally = Tally()
    cells = []
    for number, cell in enumerate(read_sidecars(tree, problems.append, tally=tally)):
        cells.append(cell)
        if number == after:
            os.kill(started[0], signal.SIGKILL)
    assert (cells, problems, tally) == alone


@pytest.mark.usefixtures("_with_helper")
def test_reader_that_stops_early_ends_the_helper(tree: Path) -> None:
    cells = read_sidecars(tree)
    next(cells)
    cells.close()  # type: ignore[attr-defined]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_helper_answers_with_the_cells_of_a_slice(tmp_path: Path) -> None:
    names = ("a.jpg.json", "b.jpg.json", "absent.json")
    first = export(tmp_path, "S1/a.jpg", sample_id="S1")
    export(tmp_path, "S1/b.jpg")
    (tmp_path / "S1/b.jpg.json").write_text("[")
    expected = next(read_sidecars(tmp_path, lambda _problem: None))
    with Helper(tmp_path) as opened:
        assert opened.takes(Slice(("S1",), names))
        assert opened.takes(Slice(("gone",), names))
        assert not opened.takes(Slice(("S1",), names))
        until(opened.has_answer, timeout_s=60)
        # What comes now was read before.
        shutil.rmtree(tmp_path / "S1")
        cell, problem, absent = opened.answer(Slice(("S1",), names))
        assert opened.answer(Slice(("gone",), names)) == ["gone"] * 3
    assert isinstance(cell, SidecarCell)
    assert asdict(cell) == asdict(expected)
    assert cell.sidecar == first
    assert isinstance(problem, Problem)
    assert problem.path == tmp_path / "S1/b.jpg.json"
    assert absent == "gone"
