"""Tests for the sidecars of which only changed ones are read again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.files.open_folder import OpenFolder
from edge.results.reading.cell_file import read_cell
from edge.results.reading.problem import Problem
from edge.results.reading.sidecars import read_sidecars
from edge.results.reading.tree import Listing, Tally, list_folder
from edge.results.send import known_sidecars
from edge.results.send.known_sidecars import KnownSidecars
from tests.support.sidecar_tree import export, outcome


class Tree:
    """A tree, and how many sidecars each look has read."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.now_s = 100.0
        self.problems: list[Problem] = []
        self.beats = 0
        self.known = KnownSidecars(
            root, self.problems.append, beat=self.beat, clock=lambda: self.now_s
        )
        self.read: list[str] = []
        self.listed: list[str] = []
        read, listed = read_cell, list_folder

        def counted(listing: Listing, name: str) -> object:
            self.read.append(name)
            return read(listing, name)

        def counted_list(opened: OpenFolder, tally: Tally) -> object:
            self.listed.append(opened.path.name)
            return listed(opened, tally)

        monkeypatch.setattr(known_sidecars, "read_cell", counted)
        monkeypatch.setattr(known_sidecars, "list_folder", counted_list)

    def beat(self) -> None:
        self.beats += 1

    def look(self, *, later_s: float = 10.0, whole: bool = False) -> tuple[bool, int, int]:
        """Whether anything has changed; how many sidecars were read and folders listed."""
        self.now_s += later_s
        self.read.clear()
        self.listed.clear()
        has_changed = self.known.look(whole=whole)
        assert list(self.known.cells()) == list(read_sidecars(self.root, lambda _problem: None))
        return has_changed, len(self.read), len(self.listed)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    for name in ("S1/1/a.jpg", "S1/1/b.jpg", "S2/1/a.jpg"):
        export(tmp_path, name)
    return Tree(tmp_path, monkeypatch)


def test_look_reads_all_once_and_then_what_changed_alone(tree: Tree) -> None:
    assert tree.look() == (True, 3, 5)
    # Listed once more, as another file may have come within the step of the folder's time.
    assert tree.look() == (False, 0, 5)
    assert tree.look() == (False, 0, 0)
    export(tree.root, "S1/1/c.jpg")
    assert tree.look() == (True, 1, 1)
    # A sign of life for each file, as a share may be slow.
    assert tree.beats == 4
    export(tree.root, "S3/1/a.jpg")
    has_changed, read, _ = tree.look()
    assert (has_changed, read) == (True, 1)


def test_look_finds_a_sidecar_that_was_replaced(tree: Tree) -> None:
    for _ in range(3):
        tree.look()
    export(tree.root, "S1/1/a.jpg", outcome(b"x", "basophil"), content=b"x")
    assert tree.look() == (True, 1, 1)


def test_look_finds_a_file_within_the_step_of_the_folder_s_time(tree: Tree) -> None:
    folder = tree.root / "S1" / "1"
    times = folder.stat()
    tree.look()
    export(tree.root, "S1/1/late.jpg")
    os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))
    has_changed, read, _ = tree.look(later_s=1.0)
    assert (has_changed, read) == (True, 1)


def test_whole_look_finds_what_a_folder_s_time_does_not_show(tree: Tree) -> None:
    for _ in range(3):
        tree.look()
    folder = tree.root / "S1" / "1"
    times = folder.stat()
    export(tree.root, "S1/1/c.jpg")
    os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))
    tree.now_s += 10
    assert not tree.known.look()
    assert tree.look(whole=True) == (True, 1, 5)


def test_look_forgets_what_is_gone(tree: Tree) -> None:
    tree.look()
    shutil.rmtree(tree.root / "S1")
    assert tree.look()[0]
    assert [cell.image for cell in tree.known.cells()] == ["S2/1/a.jpg"]


def test_bad_sidecar_is_reported_once_until_it_changes(tree: Tree) -> None:
    bad = tree.root / "S1" / "1" / "a.jpg.json"
    bad.write_text("{")
    tree.look()
    tree.look()
    assert [problem.path for problem in tree.problems] == [bad]
    assert tree.known.unread() == [bad]
    bad.unlink()
    export(tree.root, "S1/1/a.jpg")
    tree.look()
    assert tree.known.unread() == []


def test_look_at_a_missing_folder_is_refused_and_keeps_what_is_known(tree: Tree) -> None:
    tree.look()
    tree.root.rename(tree.root.with_name("away"))
    with pytest.raises(ConfigError, match="does not exist"):
        tree.known.look()
    assert len(list(tree.known.cells())) == 3


def test_new_folder_that_cannot_be_read_is_among_what_is_unread(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = OpenFolder.below

    def refuse(opened: OpenFolder, parts: tuple[str, ...], *, make: bool) -> OpenFolder:
        if parts == ("S2", "1"):
            raise PermissionError(13, "Permission denied")
        return below(opened, parts, make=make)

    monkeypatch.setattr(OpenFolder, "below", refuse)
    for _ in range(2):
        tree.now_s += 10
        tree.known.look()
        assert tree.known.unread() == [tree.root / "S2" / "1"]
    assert [problem.code for problem in tree.problems] == ["folder_unreadable"]
    monkeypatch.undo()
    assert tree.known.look()
    assert tree.known.unread() == []
