"""What a command imports before it knows what it is asked for: a count, as times vary."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ENTRIES = ("daemon.cli", "edge.results.cli", "converters.cli", "edge.bench.cli")
# Of the standard library, each of them 10 ms or more on a slow machine, with what it brings.
SLOW = {"asyncio", "concurrent.futures", "email", "http", "importlib.metadata", "logging"} | {
    "multiprocessing",
    "sqlite3",
    "subprocess",
    "tempfile",
    "unittest",
    "urllib.request",
    "xml",
}
OWN = {"converters", "daemon", "edge"}
# The line that the process writes at its end, whatever the command printed before.
_AT_END = (
    "import atexit, json, sys;"
    "atexit.register(lambda: print('\\n' + json.dumps(sorted(sys.modules)), file=sys.stderr));"
)


def modules(code: str, *words: str) -> set[str]:
    """What a Python process has imported at its end, without what every process has."""
    command = [sys.executable, "-c", _AT_END + code, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.rstrip().splitlines()[-1]))


@pytest.fixture(scope="module")
def in_every_process() -> set[str]:
    return modules("pass")


def libraries(found: set[str]) -> set[str]:
    """The packages that are neither Python's own nor this product's."""
    return {name.split(".")[0] for name in found} - set(sys.stdlib_module_names) - OWN


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("words", [None, "--version", "--help"])
def test_command_before_its_work_imports_no_library_and_little_else(
    entry: str, words: str | None, in_every_process: set[str]
) -> None:
    call = f"{entry}.main([{words!r}])" if words else "None"
    found = modules(f"import {entry}; {call}") - in_every_process
    assert libraries(found) == set()
    assert found & SLOW == set()
    assert len({name for name in found if name.split(".")[0] in OWN}) <= 35


@pytest.mark.parametrize("subcommand", ["status", "retry"])
def test_subcommand_that_labels_nothing_imports_no_numpy(
    subcommand: str, in_every_process: set[str]
) -> None:
    code = "import daemon.cli; sys.exit(2 - daemon.cli.main(sys.argv[1:]))"
    found = modules(code, subcommand, "--config", "/nowhere/edge.yaml") - in_every_process
    assert "daemon.config.config" in found
    assert libraries(found) <= {"yaml", "_yaml", "_cython_3_1_4", "cython_runtime"}
