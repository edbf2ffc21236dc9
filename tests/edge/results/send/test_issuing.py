"""Tests for issuing again and again as files come."""

from __future__ import annotations

from pathlib import Path

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
