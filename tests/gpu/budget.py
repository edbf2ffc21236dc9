"""The order of the check's steps and the time that each may take.

The budget is spent in the order of worth. A step that would need more than is left is left out,
and a later one that needs less is still taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from tests.gpu.setting import Found, Setting

NOT_REACHED: Final = "not reached"

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Proven:
    """Which engines gave the golden images their labels, and why others did not."""

    precisions: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        limit_s: it is ended after so many seconds.
        needs_s: with less than this left it is not begun.
        is_alone: it gets a process of its own that has built nothing before.
        why_not: says from what was proven why it is skipped; None where it is to be taken.
    """

    name: str
    run: Callable[[Setting], Found]
    limit_s: float
    needs_s: float
    is_alone: bool = False
    why_not: Callable[[Proven], str | None] = lambda _proven: None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one step: `ok`, `failed`, `skipped` or `not reached`."""

    state: str
    reason: str | None = None
    figures: Figures = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    proven: Proven | None = None


@dataclass(slots=True)
class StepReport:
    """One step in the file of figures; its state is `running` at first."""

    name: str
    state: str
    reason: str | None = None
    seconds: float = 0.0
    figures: Figures = field(default_factory=dict)
    lines: tuple[str, ...] = ()


class Worker(Protocol):
    """Takes steps, in this process or in another one."""

    def take(
        self, step: Step, limit_s: float, proven: Proven, on_partial: Callable[[Figures], None]
    ) -> Answer:
        """Take a step. Whatever becomes of it is the answer.

        Args:
            on_partial: told the figures so far.
        """


def run(
    steps: Sequence[Step],
    worker: Worker,
    budget_s: float,
    on_report: Callable[[list[StepReport]], None],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> list[StepReport]:
    """Take the steps in order within the budget.

    Args:
        on_report: called whenever there is more to be kept; the last report is the new one.
    """
    reports: list[StepReport] = []
    proven = Proven()
    end_s = clock() + budget_s
    for step in steps:
        start_s = clock()
        report = StepReport(step.name, "running")
        reports.append(report)
        answer = _left_out(step, end_s - start_s, proven)
        if answer is None:
            keep = partial(_keep, report, reports, on_report)
            answer = worker.take(step, min(step.limit_s, end_s - start_s), proven, keep)
        proven = answer.proven or proven
        report.state, report.reason = answer.state, answer.reason
        # A step that died has told something perhaps, and its figures stay.
        report.figures = answer.figures or report.figures
        report.lines, report.seconds = answer.lines, round(clock() - start_s, 1)
        on_report(reports)
    return reports


def _left_out(step: Step, left_s: float, proven: Proven) -> Answer | None:
    """What is said of a step that is not taken; None of one that is."""
    why_not = step.why_not(proven)
    if why_not is not None:
        return Answer("skipped", why_not)
    if left_s < step.needs_s:
        told = f"it needs {step.needs_s:.0f} s, {max(left_s, 0):.0f} s were left"
        return Answer(NOT_REACHED, told)
    return None


def _keep(
    report: StepReport,
    reports: list[StepReport],
    on_report: Callable[[list[StepReport]], None],
    figures: Figures,
) -> None:
    report.figures = figures
    on_report(reports)


def not_reached(reports: Sequence[StepReport]) -> str | None:
    """A line that names the steps for which no time was left; None where there are none."""
    missing = [f"{r.name} ({r.reason})" for r in reports if r.state == NOT_REACHED]
    return f"not reached: {'; '.join(missing)}" if missing else None
