from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edge.results.reading.follow import Follower
from edge.results.reading.problem import Problem
from edge.results.reading.sidecar_cell import SidecarCell
from tests.support.sidecar_tree import export, outcome


class Case:
    """A followed folder, with a clock that the test sets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.now_s = 0.0
        self.follower = Follower(path, self.problems.append, clock=lambda: self.now_s)

    def settle(self) -> None:
        """Make every folder look unchanged for long."""
        self.now_s = max(p.stat().st_mtime for p in [self.path, *self.path.rglob("*")]) + 100


@pytest.fixture
def case(tmp_path: Path) -> Case:
    (tmp_path / "results").mkdir()
    return Case(tmp_path / "results")


def images(cells: list[SidecarCell]) -> list[str]:
    return [cell.image for cell in cells]


def dated(path: Path, mtime_s: int) -> Path:
    os.utime(path, (mtime_s, mtime_s))
    return path


def test_first_look_gives_the_newest_and_the_next_only_what_is_new(case: Case) -> None:
    for number, name in enumerate(("S1/c.jpg", "b.jpg", "a.jpg")):
        dated(export(case.path, name), 1000 + number)
    assert images(case.follower.newest(2)) == ["b.jpg", "a.jpg"]
    assert case.follower.new() == []
    export(case.path, "S1/d.jpg")
    export(case.path, "S2/new/e.jpg")
    assert images(case.follower.new()) == ["S1/d.jpg", "S2/new/e.jpg"]
    assert case.follower.new() == []


def test_first_look_at_none_gives_none_and_remembers_all(case: Case) -> None:
    export(case.path, "a.jpg")
    assert case.follower.newest(0) == []
    assert case.follower.new() == []


def test_replaced_sidecar_is_told_again(case: Case) -> None:
    export(case.path, "a.jpg")
    case.follower.newest(9)
    export(case.path, "a.jpg", outcome(b"b", "basophil"))
    (cell,) = case.follower.new()
    assert cell.label == "basophil"


def test_settled_folders_are_looked_at_again_when_they_change(case: Case) -> None:
    export(case.path, "S1/a.jpg")
    case.settle()
    case.follower.newest(9)
    assert case.follower.new() == []
    export(case.path, "S1/b.jpg")
    export(case.path, "S2/c.jpg")
    assert images(case.follower.new()) == ["S1/b.jpg", "S2/c.jpg"]


def test_bad_sidecar_is_told_once_and_others_go_on(case: Case) -> None:
    case.follower.newest(9)
    (case.path / "a.jpg.json").write_text("{")
    (case.path / "foreign.json").write_text("{}")
    export(case.path, "b.jpg")
    assert images(case.follower.new()) == ["b.jpg"]
    assert case.follower.new() == []
    assert [problem.path.name for problem in case.problems] == ["a.jpg.json"]


def test_folder_that_is_replaced_by_a_link_is_told_once(case: Case, tmp_path: Path) -> None:
    export(case.path, "S1/a.jpg")
    export(tmp_path / "elsewhere", "b.jpg")
    case.settle()
    case.follower.newest(9)
    shutil.rmtree(case.path / "S1")
    # The folder above has settled and is listed again, without the link.
    (case.path / "S1").symlink_to(tmp_path / "elsewhere")
    assert case.follower.new() == []
    assert case.follower.new() == []


def test_deleted_folder_that_comes_back_is_told(case: Case) -> None:
    export(case.path, "S1/a.jpg")
    case.follower.newest(9)
    shutil.rmtree(case.path / "S1")
    assert case.follower.new() == []
    export(case.path, "S1/b.jpg")
    assert images(case.follower.new()) == ["S1/b.jpg"]
    assert case.problems == []
