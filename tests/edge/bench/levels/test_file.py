from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.bench.levels.file import FileService
from edge.bench.measure.clock import RealClock
from edge.errors import EdgeError, StorageError


class FastClock(RealClock):
    """Half a minute goes by between two looks."""

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        self._now_ns += 30_000_000_000
        return self._now_ns


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[FileService]:
    """A service that lives and never writes a sidecar."""
    for name in ("export", "results"):
        (tmp_path / name).mkdir()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        with FileService(process, tmp_path, [b"content"], FastClock()) as found:
            yield found
        process.terminate()


def test_service_that_never_answers_ends_the_measurement(silent: FileService) -> None:
    with pytest.raises(EdgeError, match="wrote no sidecar within 60 s"):
        silent.one_by_one(0)


def test_image_that_the_disk_does_not_take_is_told_in_one_line(
    silent: FileService, tmp_path: Path
) -> None:
    (tmp_path / "export").rmdir()
    with pytest.raises(StorageError, match=r"could not write .*/export/0000000\.jpg: No such"):
        silent.write_one(0)
