"""OpenELIS' import, in two steps: its bridge's reader, in Java, and a model of its staging."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

_JAR: Final = Path("/usr/share/java/commons-csv.jar")
_PROGRAM: Final = Path(__file__).with_name("OpenElisBridge.java")


@dataclass(frozen=True, slots=True)
class Row:
    """One value that the bridge sends on; `unit` and `time` are None where it drops them."""

    sample: str
    test: str
    value: str
    is_number: bool
    unit: str | None
    time: str | None


@dataclass(frozen=True, slots=True)
class TakenFile:
    """What became of a file: `taken`, or why it was not."""

    name: str
    outcome: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Bridge:
    """A running reader; one process for many folders."""

    process: subprocess.Popen[str]

    def read(self, folder: Path) -> tuple[TakenFile, ...]:
        """The files of a folder in the order of their names."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        files = json.loads(self.process.stdout.readline())
        return tuple(
            TakenFile(f["name"], f["outcome"], tuple(Row(**row) for row in f["rows"]))
            for f in files
        )


@contextmanager
def running_bridge(profile: dict[str, Any]) -> Iterator[Bridge]:
    """The reader with the settings of a profile; skips the test if this machine lacks it."""
    if not shutil.which("javac") or not _JAR.exists():
        pytest.skip(
            "no Java compiler or commons-csv (Debian: openjdk-17-jdk-headless, libcommons-csv-java)"
        )
    defaults = profile["configDefaults"]
    words = [defaults["delimiter"], str(defaults["skipRows"]), defaults["filePattern"]]
    words += [f"{header}={field}" for header, field in profile["column_mapping"].items()]
    process = subprocess.Popen(
        [
            "java",
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            str(_JAR),
            str(_PROGRAM),
            *words,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield Bridge(process)
    finally:
        process.communicate(timeout=60)


@dataclass(slots=True)
class Staging:
    """OpenELIS' table of results that wait for a technician.

    Its key is analyzer, accession and test. Of a key that is there, a value with the same time or
    the same value is dropped without a word; if both differ, it is linked as a correction.
    """

    analyzer: str = "microscope-edge"
    staged: dict[tuple[str, str, str], list[Row]] = field(default_factory=dict)
    skipped: list[Row] = field(default_factory=list)

    def insert(self, row: Row) -> None:
        """Take one value."""
        before = self.staged.setdefault((self.analyzer, row.sample, row.test), [])
        if any(row.time == old.time or row.value == old.value for old in before):
            self.skipped.append(row)
        else:
            before.append(row)

    def current(self, sample: str, test: str) -> Row:
        """The last value of a key."""
        return self.staged[self.analyzer, sample, test][-1]
