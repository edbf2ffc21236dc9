"""Tests for issuing again and again as files come."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import StorageError
from edge.results.document.result import SlideResult
from edge.results.issued.issued import Issued
from edge.results.send.issuing import Issuing
from edge.results.send.slide_config import SlideConfig
from edge.results.slides.completeness import Completeness
from tests.support.sidecar_tree import export


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
