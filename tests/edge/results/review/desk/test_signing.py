"""Tests for signatures: corrections, two readers, a process that is killed, and what is issued."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from edge.failpoints import REVIEWING, VARIABLE
from edge.results.document.result import SlideResult, State
from edge.results.issued.issued import Issued
from edge.results.review.desk.desk import Desk
from edge.results.review.desk.live import differential_json
from edge.results.review.record.entry import Action
from edge.results.review.record.record import Record
from edge.results.review.refusal import Refusal
from edge.results.send.issuing import Issuing
from edge.results.verification.folder import write_verification
from edge.results.verification.verification_file import verification_from_json
from edge.sidecar import now
from tests.edge.results.review.desk.conftest import Clock, Page
from tests.support.review_site import AKI, MINA, CellSpec, ReviewSite

CELLS = [CellSpec("neutrophil")] * 6 + [CellSpec("lymphocyte", 0.6)] * 3


class Laboratory:
    """A desk, and the sender that issues."""

    def __init__(self, desk: Desk, issued: Issued, issuing: Issuing, clock: Clock) -> None:
        self.desk = desk
        self.issued = issued
        self._issuing = issuing
        self._clock = clock
        (row,) = desk.slides(None)["slides"]
        self.mina = Page(desk, row["key"], MINA, clock)
        self.aki = Page(desk, row["key"], AKI, clock)

    def issue(self) -> SlideResult:
        self._clock.go_on()
        self._issuing.issue()
        last = self.issued.last(self.mina.key)
        assert last is not None
        return last

    def stage(self) -> str:
        return str(self.mina.slide()["slide"]["stage"])


@contextmanager
def laboratory(site: ReviewSite) -> Iterator[Laboratory]:
    config = site.config
    clock = Clock()
    with (
        Issued.open(config.state_dir) as issued,
        Desk.open(config.slides, config.review, config.state_dir, clock=clock) as desk,
    ):
        issuing = Issuing(config.slides, issued, lambda _line: None, clock=clock)
        yield Laboratory(desk, issued, issuing, clock)


@pytest.fixture
def slide(site: ReviewSite) -> ReviewSite:
    site.add_slide("S1", CELLS)
    return site


def test_signed_slide_is_issued_with_the_differential_that_the_page_showed(
    slide: ReviewSite,
) -> None:
    with laboratory(slide) as lab:
        assert lab.issue().state is State.PRELIMINARY
        lab.mina.decide(lab.mina.cells("lymphocyte")[:1], "ig")
        lab.mina.decide(lab.mina.cells())
        lab.mina.sign()
        assert lab.stage() == "signed"
        result = lab.issue()
        assert lab.stage() == "final"
    assert (result.state, result.revision) == (State.FINAL, 2)
    assert result.verification is not None
    assert result.verification.by == MINA
    with Record.open(slide.state) as record:
        (signed,) = (one for one in record.all() if one.action is Action.SIGN)
    shown = {k: v for k, v in dict(signed.differential or {}).items() if k != "not_counted"}
    assert shown == as_json(differential_json(result.differential))


def as_json(value: Any) -> Any:
    """Pairs as lists, as JSON gives them back."""
    if isinstance(value, dict):
        return {key: as_json(one) for key, one in value.items()}
    return [as_json(one) for one in value] if isinstance(value, list | tuple) else value


def test_correction_needs_a_reason_and_becomes_a_corrected_result(slide: ReviewSite) -> None:
    with laboratory(slide) as lab:
        lab.mina.decide(lab.mina.cells())
        lab.mina.sign()
        lab.issue()
        lab.mina.decide(lab.mina.cells("lymphocyte")[:1], "ig")
        assert lab.stage() == "begun"
        assert lab.mina.slide()["needs_reason"] is True
        with pytest.raises(Refusal, match="say why the signed result is corrected"):
            lab.mina.sign()
        lab.mina.sign("an immature cell was overlooked")
        result = lab.issue()
        assert lab.stage() == "corrected"
    assert (result.state, result.reason) == (State.CORRECTED, "an immature cell was overlooked")


def test_correction_by_another_person_needs_that_person_to_decide_every_cell(
    slide: ReviewSite,
) -> None:
    with laboratory(slide) as lab:
        lab.mina.decide(lab.mina.cells())
        lab.mina.sign()
        lab.issue()
        lab.aki.decide(lab.aki.cells("lymphocyte")[:1], "ig")
        with pytest.raises(Refusal, match="8 cells you have not decided"):
            lab.aki.sign("seen again")
        lab.aki.decide(lab.aki.cells())
        lab.aki.sign("seen again")
        result = lab.issue()
    assert result.verification is not None
    assert (result.state, result.verification.by) == (State.CORRECTED, AKI)


def test_late_cell_after_the_signature_asks_for_another_one(slide: ReviewSite) -> None:
    with laboratory(slide) as lab:
        lab.mina.decide(lab.mina.cells())
        lab.mina.sign()
        lab.issue()
        late = CellSpec("monocyte")
        slide.add_image("S1/slide-1/late.jpg", late, sample_id="S1", slide_id="slide-1")
        found = lab.mina.slide()
        assert (found["slide"]["stage"], found["slide"]["open"]) == ("again", 1)
        assert "verify it again" in found["slide"]["text"]
        lab.mina.decide(lab.mina.cells("monocyte"))
        lab.mina.sign("late cell")
        assert lab.issue().state is State.CORRECTED


def test_verification_that_another_program_wrote_counts_from_its_time_on(
    slide: ReviewSite,
) -> None:
    with laboratory(slide) as lab:
        lab.mina.decide(lab.mina.cells("lymphocyte"), "ig")
        lab.mina.decide(lab.mina.cells())
        lab.mina.sign()
        lab.issue()
        (file,) = slide.verifications.iterdir()
        signed = verification_from_json(file.read_bytes())
        labels = {k: "monocyte" if v == "ig" else v for k, v in signed.labels.items()}
        by_hand = replace(signed, by=AKI, at=now(), labels=labels, revision=1, reason="typed")
        write_verification(slide.verifications, by_hand)
        assert lab.issue().state is State.CORRECTED
        found = lab.mina.slide()
        assert [one["label"] for one in found["cells"]].count("monocyte") == 3
        assert (found["slide"]["stage"], found["slide"]["open"]) == ("corrected", 3)
        assert found["slide"]["signed"]["by"]["id"] == "aki"
        assert lab.aki.slide()["slide"]["open"] == 0


def test_two_readers_are_blind_until_both_have_finished(site: ReviewSite) -> None:
    site.review = {"second_reader": True}
    site.add_slide("S1", CELLS)
    with laboratory(site) as lab:
        lab.mina.decide(lab.mina.cells("lymphocyte")[:1], "ig")
        lab.mina.decide(lab.mina.cells())
        with pytest.raises(Refusal, match="two persons read it"):
            lab.mina.sign()
        # The second person sees the model's labels alone.
        assert len(lab.aki.cells("lymphocyte")) == 3
        assert lab.aki.slide()["slide"]["open"] == 9
        with pytest.raises(Refusal, match="cells you have not decided"):
            lab.aki.post(action="finish")
        lab.mina.post(action="finish")
        assert lab.stage() == "first"
        with pytest.raises(Refusal, match="take that back with undo"):
            lab.mina.decide(lab.mina.cells("ig"), "monocyte")
        lab.aki.decide(lab.aki.cells())
        lab.aki.post(action="finish")
        assert lab.stage() == "consensus"
        (differing,) = [one for one in lab.mina.cells() if one["other"]]
        assert (differing["label"], differing["other"]) == ("ig", "lymphocyte")
        with pytest.raises(Refusal, match="1 cell on which the readers differ"):
            lab.mina.sign()
        lab.mina.decide([differing])
        lab.mina.sign()
        result = lab.issue()
    assert result.state is State.FINAL
    assert result.verification is not None
    assert result.verification.note == "Also read by Aki Kaurismäki (aki)"
    assert sum(cell.label == "ig" for cell in result.cells) == 1


CHILD = """
import secrets, sys
from pathlib import Path
from edge.failpoints import arm_failpoints
from edge.results.review.desk.desk import Desk
from tests.edge.results.review.desk.conftest import Clock, Page
from tests.support.review_site import ReviewSite
config = ReviewSite(Path(sys.argv[1])).config
arm_failpoints()
with Desk.open(config.slides, config.review, config.state_dir) as desk:
    (row,) = desk.slides(None)["slides"]
    page = Page(desk, row["key"])
    if page.slide()["slide"]["stage"] != "signed":
        if page.slide()["entry"] == 0:
            page.decide(page.cells(), request="a" * 32)
        page.sign(request="b" * 32)
"""


# A decision, a signature and the note of its file are appended; one verification is written.
PASSES = {step: 1 if "verification" in step else 3 for step in REVIEWING}


@pytest.mark.parametrize(
    ("step", "number"), [(step, n) for step, last in PASSES.items() for n in range(1, last + 1)]
)
def test_process_killed_at_any_step_of_a_signature_loses_and_doubles_nothing(
    slide: ReviewSite, step: str, number: int
) -> None:
    def run(faults: str) -> int:
        argv = [sys.executable, "-c", CHILD, str(slide.folder)]
        return subprocess.run(argv, env={**os.environ, VARIABLE: faults}, check=False).returncode

    assert run(f"{step}=kill@{number}") == -signal.SIGKILL
    assert run("") == 0
    with Record.open(slide.state) as record:
        entries = list(record.all())
    assert [one.action for one in entries] == [Action.DECIDE, Action.SIGN, Action.WRITTEN]
    (file,) = slide.verifications.iterdir()
    assert verification_from_json(file.read_bytes()).by == MINA
    assert entries[2].verification == file.name
    with laboratory(slide) as lab:
        assert lab.issue().state is State.FINAL
