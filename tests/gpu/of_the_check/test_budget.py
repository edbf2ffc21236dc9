"""Order, limits and the skipping of steps, by a clock that the steps move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.gpu.budget import Answer, Figures, Proven, Step, StepReport, not_reached, run
from tests.gpu.setting import Found, Setting


def unused(_setting: Setting) -> Found:
    raise AssertionError("the worker of these tests takes no steps")


def step(name: str, *, limit_s: float, needs_s: float = 1) -> Step:
    return Step(name, unused, limit_s, needs_s)


@dataclass
class FakeWorker:
    """Each step takes its seconds and gives its answer."""

    takes_s: dict[str, float]
    answers: dict[str, Answer] = field(default_factory=dict)
    partial: dict[str, Figures] = field(default_factory=dict)
    now_s: float = 0
    taken: list[tuple[str, float]] = field(default_factory=list)
    proven: list[Proven] = field(default_factory=list)

    def take(
        self, step: Step, limit_s: float, proven: Proven, on_partial: Callable[[Figures], None]
    ) -> Answer:
        self.taken.append((step.name, limit_s))
        self.proven.append(proven)
        if step.name in self.partial:
            on_partial(self.partial[step.name])
        self.now_s += min(self.takes_s[step.name], limit_s)
        return self.answers.get(step.name, Answer("ok", figures={"of": step.name}))


def run_with(
    worker: FakeWorker, steps: list[Step], budget_s: float
) -> tuple[list[StepReport], list[list[tuple[str, str]]]]:
    kept: list[list[tuple[str, str]]] = []
    reports = run(
        steps,
        worker,
        budget_s,
        lambda reports: kept.append([(r.name, r.state) for r in reports]),
        clock=lambda: worker.now_s,
    )
    return reports, kept


def test_a_step_gets_its_limit_or_what_is_left() -> None:
    worker = FakeWorker({"a": 30, "b": 90, "c": 5})
    steps = [step("a", limit_s=40), step("b", limit_s=60), step("c", limit_s=60)]
    reports, _ = run_with(worker, steps, 100)
    assert worker.taken == [("a", 40), ("b", 60), ("c", 10)]
    assert [report.seconds for report in reports] == [30, 60, 5]


def test_a_step_that_needs_more_than_is_left_is_left_out_and_a_cheaper_one_is_taken() -> None:
    worker = FakeWorker({"a": 90, "c": 4})
    steps = [step("a", limit_s=90), step("b", limit_s=50, needs_s=20), step("c", limit_s=8)]
    reports, kept = run_with(worker, steps, 100)
    assert [report.state for report in reports] == ["ok", "not reached", "ok"]
    assert not_reached(reports) == "not reached: b (it needs 20 s, 10 s were left)"
    assert kept[-1] == [("a", "ok"), ("b", "not reached"), ("c", "ok")]


def test_a_step_that_does_not_apply_is_skipped_without_the_worker_and_without_time() -> None:
    def why_not(proven: Proven) -> str | None:
        return None if proven.refused else "the engine is right"

    steps = [step("a", limit_s=9), Step("b", unused, 9, 50, why_not=why_not)]
    worker = FakeWorker({"a": 1, "b": 1})
    reports, _ = run_with(worker, steps, 10)
    assert (reports[1].state, reports[1].reason) == ("skipped", "the engine is right")
    refused = {"a": Answer("failed", proven=Proven(refused={"int8": "wrong"}))}
    worker = FakeWorker({"a": 1, "b": 1}, refused)
    run_with(worker, steps, 100)
    assert [name for name, _ in worker.taken] == ["a", "b"]


def test_where_all_steps_were_reached_there_is_nothing_to_say() -> None:
    reports, _ = run_with(FakeWorker({"a": 1}), [step("a", limit_s=9)], 10)
    assert not_reached(reports) is None


def test_what_a_step_found_is_kept_after_each_and_within_it() -> None:
    worker = FakeWorker({"a": 1, "b": 1}, partial={"b": {"half": 1}})
    _, kept = run_with(worker, [step("a", limit_s=9), step("b", limit_s=9)], 60)
    assert kept == [
        [("a", "ok")],
        [("a", "ok"), ("b", "running")],
        [("a", "ok"), ("b", "ok")],
    ]


@pytest.mark.parametrize("figures", [{}, {"all": 2}])
def test_a_step_that_dies_keeps_its_partial_figures(figures: Figures) -> None:
    worker = FakeWorker(
        {"a": 1, "b": 1},
        answers={"a": Answer("failed", "the process ended with SIGSEGV", figures)},
        partial={"a": {"half": 1}},
    )
    reports, _ = run_with(worker, [step("a", limit_s=9), step("b", limit_s=9)], 60)
    assert reports[0].figures == (figures or {"half": 1})
    assert [report.state for report in reports] == ["failed", "ok"]


def test_what_was_proven_reaches_the_later_steps_also_past_one_that_died() -> None:
    int8 = Proven(("int8",), {"fp16": "wrong"})
    worker = FakeWorker(
        {"a": 1, "b": 1, "c": 1},
        answers={"a": Answer("ok", proven=int8), "b": Answer("failed", "it hung")},
    )
    run_with(worker, [step(name, limit_s=9) for name in "abc"], 60)
    assert worker.proven == [Proven(), int8, int8]
