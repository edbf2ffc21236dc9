"""`edge-daemon status`: the service and its journal on one screen, or as JSON."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from daemon.drift.table import state_text
from daemon.image.passed_over import PassedOver
from daemon.install.installed_config import is_installed, unit_of
from daemon.journal.streams import StreamHistory
from daemon.journal.summary import Rejection, Summary
from daemon.log.journald import Pseudonyms
from daemon.operator.next_steps import LOOK_AT_IMAGES, NextStep, meaning, next_steps
from daemon.supervision.running_daemon import Running
from edge.status import Status
from edge.text.counted import counted
from edge.text.printable import printable

_WIDTH: Final = 80
_TITLE: Final = 10


def status_fields(
    summary: Summary,
    pseudonyms: Pseudonyms,
    running: Running,
    histories: Sequence[StreamHistory] = (),
) -> dict[str, Any]:
    """The status as JSON types.

    Args:
        histories: of the watch folders, in their order, with the hours of today.
    """
    return {
        "states": summary.states,
        "outcomes": summary.statuses,
        "labels": summary.labels,
        "held_up": summary.held_up,
        "waiting_elsewhere": summary.waiting_elsewhere,
        "last_outcome": _time(summary.last_finished_at),
        "oldest_waiting": _time(summary.oldest_waiting_at),
        "oldest_waiting_s": _age_s(summary.oldest_waiting_at),
        "rejections": [_rejection(rejection, pseudonyms) for rejection in summary.rejections],
        "today": summary.today,
        "reasons": summary.reasons,
        "drift": [_drift(number, one) for number, one in enumerate(histories) if one.stream],
        "daemon": {
            "is_running": running.pid is not None,
            "pid": running.pid,
            "silent_s": running.silent_s,
            "health": running.health,
        },
    }


def status_text(fields: dict[str, Any], config_path: Path) -> str:
    """The status for people, in 80 columns, except paths and commands, which can be copied."""
    daemon, health = fields["daemon"], fields["daemon"]["health"]
    reasons = health["reasons"] if health else []
    if daemon["silent_s"]:
        reasons = [f"no status was written for {_duration(daemon['silent_s'])}", *reasons]
    todo = next_steps(
        fields["reasons"],
        fields["held_up"],
        is_running=daemon["is_running"],
        # What to do about drift is no matter of the log.
        has_problem=any(not reason.startswith("drift-") for reason in reasons),
        is_installed=is_installed(config_path),
    )
    if any(one["since"] for one in fields["drift"]):
        todo.append(LOOK_AT_IMAGES)
    passed_over = _passed_over(health)
    todo += [NextStep(f"Images that are left out: {text}.") for _, text in passed_over if text]
    blocks = [
        _daemon_lines(daemon, reasons),
        _outcome_lines(fields),
        _label_lines(fields["labels"]),
        _queue_lines(fields),
        _titled("drift", [line for one in fields["drift"] for line in _drift_lines(one)]),
        _titled("left out", [line for lines, _ in passed_over for line in lines]),
        _rejection_lines(fields["rejections"]),
        _titled("to do", [line for one in todo for line in _step_lines(one, config_path)]),
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _daemon_lines(daemon: dict[str, Any], reasons: list[str]) -> list[str]:
    health = daemon["health"]
    if not daemon["is_running"]:
        return _titled("daemon", ["NOT RUNNING"])
    if health is None:
        return _titled("daemon", [f"process {daemon['pid']}"])
    since = datetime.fromisoformat(health["since"])
    lines = [f"running since {since:%Y-%m-%d %H:%M}, process {daemon['pid']}"]
    if health["model"]:
        # A daemon of an earlier version names no graph.
        graph = f" ({health['graph']})" if health.get("graph") else ""
        lines.append(f"{health['model']}, {health['precision']} on {health['backend']}{graph}")
    if health["canary_age_s"] is not None:
        lines.append(f"a known image got its label {health['canary_age_s']:.0f} s ago")
    state = health["status"] if not daemon["silent_s"] else "unknown"
    return [
        *_titled("daemon", lines),
        *_titled("health", [state.upper() if reasons else state, *_each_wrapped(reasons)]),
    ]


def _outcome_lines(fields: dict[str, Any]) -> list[str]:
    total, today = fields["outcomes"], fields["today"]
    head = f"{'':<16}{'today':>12}{'in all':>12}"
    return _titled(
        "images",
        [
            head,
            *(f"{s:<16}{today.get(s, 0):>12,}{total.get(s, 0):>12,}" for s in map(str, Status)),
        ],
    )


def _label_lines(labels: dict[str, int]) -> list[str]:
    total = sum(labels.values())
    rows = sorted(labels.items(), key=lambda item: -item[1])
    return _titled("labels", [f"{n:<28}{c:>12,}{c / total:>9.1%}" for n, c in rows])


def _queue_lines(fields: dict[str, Any]) -> list[str]:
    states, oldest_s = fields["states"], fields["oldest_waiting_s"]
    waiting = states.get("waiting", 0)
    text = f"{waiting:,} waiting" if waiting else "nothing waiting"
    if oldest_s is not None:
        text += f", the oldest for {_duration(oldest_s)}"
    if claimed := states.get("claimed", 0):
        text += f"; {claimed:,} being labelled"
    lines = [text, f"last outcome {_local(fields['last_outcome'])}"]
    for cause, count in sorted(fields["held_up"].items(), key=lambda item: -item[1]):
        lines.append(f"{count:,} held up: {cause}")
    if elsewhere := fields["waiting_elsewhere"]:
        images = counted(elsewhere, "image")
        lines.append(f"waiting in folders that are no longer configured: {images}")
    return _titled("queue", lines)


def _passed_over(health: dict[str, Any] | None) -> list[tuple[list[str], str]]:
    """For each watch folder what its last scan left out, and what to do about it."""
    found = []
    for watch in health["watch"] if health else []:
        passed = PassedOver(watch.get("passed_over", {}), watch.get("passed_over_suffixes", {}))
        if text := passed.text():
            found.append((_wrapped(f"watch[{watch['number']}]: {text}"), passed.remedy()))
    return found


def _rejection_lines(rejections: list[dict[str, Any]]) -> list[str]:
    lines = []
    for one in rejections:
        lines.append(f"{_local(one['at'])}  {one['reason']}: {meaning(one['reason'])}")
        # Not wrapped, so that it can be copied.
        lines.append(f"  {one['log_id']}  {one['file']}")
    return _titled("rejected", lines)


def _step_lines(one: NextStep, config_path: Path) -> list[str]:
    if one.command is None:
        return _wrapped(one.text)
    command = one.command.format(config=config_path, unit=unit_of(config_path))
    return [*_wrapped(one.text), f"    {command}"]


def _titled(title: str, lines: list[str]) -> list[str]:
    titles = [title, *[""] * len(lines)]
    # Made printable, as texts may come from file names or from an edited health file.
    return [
        f"{t:<{_TITLE}}{printable(line)}".rstrip() for t, line in zip(titles, lines, strict=False)
    ]


def _each_wrapped(texts: list[str]) -> list[str]:
    return [line for text in texts for line in _wrapped(text)]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH - _TITLE, initial_indent="- ", subsequent_indent="  ")


def _rejection(rejection: Rejection, pseudonyms: Pseudonyms) -> dict[str, Any]:
    return {
        "file": str(rejection.folder / rejection.path.decode("utf-8", "backslashreplace")),
        "reason": rejection.reason,
        "at": _time(rejection.finished_at),
        "log_id": pseudonyms.of(rejection.folder, rejection.path),
    }


def _drift(number: int, history: StreamHistory) -> dict[str, Any]:
    drift = history.stream.drift if history.stream else None
    judged = sum(hour.cells for hour in history.hours)
    unlike = sum(hour.unfamiliar for hour in history.hours)
    return {
        "number": number,
        "since": _time(drift.since_s) if drift else None,
        "cells": drift.cells if drift else None,
        "judged_today": judged,
        "unfamiliar_today": unlike,
        "text": state_text(history),
    }


def _drift_lines(one: dict[str, Any]) -> list[str]:
    judged, unlike = counted(one["judged_today"], "cell"), one["unfamiliar_today"]
    today = f"; {unlike:,} of {judged} unlike them today" if one["judged_today"] else ""
    text = f"watch[{one['number']}]: {one['text']}{today}"
    return textwrap.wrap(text, _WIDTH - _TITLE, subsequent_indent="  ")


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(timespec="seconds")


def _local(moment: str | None) -> str:
    return "none" if moment is None else f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S}"


def _age_s(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, time.time() - seconds), 1)


def _duration(seconds: float) -> str:
    """For example `3 h 5 min`."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} days"
