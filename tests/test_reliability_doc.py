"""Every row of the fault catalogue names a test that is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

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


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


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
def test_every_fault_has_its_columns_and_a_test_that_is_there(row: re.Match[str]) -> None:
    fault, daemon, operator = row["cells"].split(" | ")
    assert fault
    assert daemon
    assert operator
    assert row["name"] in names_in(row["path"])
