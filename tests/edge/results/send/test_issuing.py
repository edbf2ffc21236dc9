"""Tests for issuing again and again as files come."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge.errors import StorageError
from edge.results.document.result import SlideResult
from edge.results.issued.issued import Issued
from edge.results.send.issuing import Issuing
from edge.results.settings.slide_config import SlideConfig
from edge.results.slides.completeness import Completeness
from edge.results.verification.folder import write_verification
from edge.results.verification.verification_file import VerificationFile
from edge.sidecar import now
from tests.support.sidecar_tree import export
from tests.support.slide_results import PERSON


def test_slide_of_which_another_process_issued_a_result_is_decided_about_again(
    tmp_path: Path,
) -> None:
    root, told = tmp_path / "export", list[str]()
    for number in range(3):
        export(root, f"S1/{number}.jpg", sample_id="S1")
    config = SlideConfig(root, completeness=Completeness(quiet_s=0))
    with Issued.open(tmp_path / "state") as issued, Issued.open(tmp_path / "state") as others:
        issuing = Issuing(config, issued, told.append)
        issuing.issue()
        export(root, "S2/0.jpg", sample_id="S2")
        issuing.issue()
        late = export(root, "S1/late.jpg", sample_id="S1")
        Issuing(config, others, told.append).issue()
        assert issued.newest() == 3
        for path in late.parent.glob("late*"):
            path.unlink()
        assert told == []
        issuing.issue()
    (line,) = told
    assert "its images lack 1 cell of its last result" in line


class Refusing(Issued):
    """A disk that is full at the first result."""

    __slots__ = ("refusals",)

    def add(self, result: SlideResult) -> bool:
        self.refusals = getattr(self, "refusals", 0) + 1
        if self.refusals == 1:
            raise StorageError("no space left")
        return super().add(result)


def test_look_that_failed_is_a_look_again_at_the_next_call(tmp_path: Path) -> None:
    root, now_s = tmp_path / "export", 1000.0
    root.mkdir()
    config = SlideConfig(root, completeness=Completeness(quiet_s=0))
    with Refusing.open(tmp_path / "state") as issued:
        issuing = Issuing(config, issued, list[str]().append, clock=lambda: now_s)
        for _ in range(3):
            # The third is one after a whole look, at which nothing has changed.
            issuing.issue()
            now_s += 10
        export(root, "S1/0.jpg", sample_id="S1")
        with pytest.raises(StorageError, match="no space left"):
            issuing.issue()
        now_s += 10
        issuing.issue()
        assert issued.newest() == 1


@pytest.mark.parametrize(
    ("find", "put", "reason"),
    [
        (b'"neutrophil"', b'"eosinophil"', "its verification was changed after it was used"),
        (b'"cells"', b'"sells"', "a verification file: it is no verification"),
    ],
)
def test_verification_edited_in_its_place_is_told_at_the_next_look(
    tmp_path: Path, find: bytes, put: bytes, reason: str
) -> None:
    root, told, now_s = tmp_path / "export", list[str](), 1000.0
    verifications = tmp_path / "verifications"
    config = SlideConfig(root, completeness=Completeness(quiet_s=0), verifications=verifications)
    path = export(root, "S1/0.jpg", sample_id="S1")
    sha256 = json.loads(path.read_bytes())["image"]["sha256"]
    said = VerificationFile("S1", None, 0, PERSON, now(), {sha256: "neutrophil"})
    file = write_verification(verifications, said)
    with Issued.open(tmp_path / "state") as issued:
        issuing = Issuing(config, issued, told.append, clock=lambda: now_s)
        for _ in range(3):
            issuing.issue()
            now_s += 10
        assert (issued.newest(), told) == (1, [])
        times = file.stat()
        with file.open("r+b") as stream:
            content = stream.read().replace(find, put)
            stream.seek(0)
            stream.write(content)
            stream.truncate()
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        for _ in range(2):
            # It stays held, and is told once.
            issuing.issue()
            now_s += 31
        (line,) = told
        assert reason in line
        file.write_bytes(content.replace(put, find))
        issuing.issue()
    assert len(told) == 1


def test_manifest_edited_in_its_place_is_used_at_the_next_look(tmp_path: Path) -> None:
    root, now_s = tmp_path / "export", 1000.0
    export(root, "S1/0.jpg", sample_id="S1")
    manifest = root / "S1" / "manifest.csv"
    manifest.write_text("path,sample_id,wbc\n.,S1,7.3\n")
    config = SlideConfig(root, completeness=Completeness(quiet_s=0))
    with Issued.open(tmp_path / "state") as issued:
        issuing = Issuing(config, issued, list[str]().append, clock=lambda: now_s)
        for _ in range(3):
            issuing.issue()
            now_s += 10
        assert issued.newest() == 1
        manifest.write_text("path,sample_id,wbc\n.,S1,8.1\n")
        issuing.issue()
        ((_, last),) = issued.after(1, 9)
    assert last.differential.wbc == 8.1
