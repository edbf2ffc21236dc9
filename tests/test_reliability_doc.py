"""Every row of the fault catalogue names a test that is there and can fail."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reliability.md"
_ROW = re.compile(r"^\| (?P<cells>.+) \| `(?P<path>tests/[\w/]+\.py)::(?P<name>test_\w+)` \|$")


def catalogue() -> list[re.Match[str]]:
    lines = PAGE.read_text("utf-8").splitlines()
    start = lines.index("## Fault catalogue")
    rows = [line for line in lines[start:] if line.startswith("| ")]
    # The first line of each table is its head.
    return [found for line in rows if (found := _ROW.match(line))]


Function: TypeAlias = ast.FunctionDef | ast.ClassDef


@cache
def functions_in(path: Path) -> dict[str, Function]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, Function)}


def demands(function: Function) -> bool:
    """Whether it asserts or expects an error itself."""
    return any(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Attribute) and node.attr in ("raises", "fail"))
        or (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("np.testing."))
        for node in ast.walk(function)
    )


def used_by(function: Function) -> set[str]:
    """The names that it calls, or takes as a fixture."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    names = {call.attr if isinstance(call, ast.Attribute) else ast.unparse(call) for call in calls}
    return names | {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}


@cache
def demanding() -> frozenset[str]:
    """The names of helpers that assert, or use one that does."""
    paths = (ROOT / "tests").rglob("*.py")
    functions = [item for path in paths for item in functions_in(path).items()]
    helpers = [(name, f) for name, f in functions if not name.startswith("test_")]
    found = {name for name, f in helpers if demands(f)}
    uses = [(name, used_by(f)) for name, f in helpers]
    known = -1
    while len(found) > known:
        known = len(found)
        found |= {name for name, used in uses if used & found}
    return frozenset(found)


def test_the_catalogue_has_sixty_faults_or_more_and_none_twice() -> None:
    faults = [row["cells"].split(" | ")[0] for row in catalogue()]
    assert len(faults) >= 60
    assert len(faults) == len(set(faults))


def test_every_row_of_the_catalogue_is_read() -> None:
    lines = PAGE.read_text("utf-8").splitlines()
    start = lines.index("## Fault catalogue")
    rows = [x for x in lines[start:] if x.startswith("| ") and not x.startswith("| fault |")]
    assert len(rows) == len(catalogue())


@pytest.mark.parametrize("row", catalogue(), ids=lambda row: row["name"])
def test_every_fault_has_its_columns_and_a_test_that_can_fail(row: re.Match[str]) -> None:
    fault, daemon, operator = row["cells"].split(" | ")
    assert fault
    assert daemon
    assert operator
    test = functions_in(ROOT / row["path"])[row["name"]]
    assert demands(test) or used_by(test) & demanding()


def test_a_test_without_a_demand_is_told_from_one_with() -> None:
    text = "def plain(lab):\n    lab.add('a')\n\ndef waits(lab):\n    until(lab.done)"
    plain, waits = ast.parse(text).body
    assert isinstance(plain, Function)
    assert isinstance(waits, Function)
    assert not demands(plain)
    assert not demands(waits)
    assert "until" in used_by(waits) & demanding()
