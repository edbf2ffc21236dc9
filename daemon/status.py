"""What `edge-daemon status` shows: the journal in one screen, or as JSON."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from daemon.logs import Pseudonyms
from daemon.summary import Rejection, Summary


def status_fields(summary: Summary, pseudonyms: Pseudonyms) -> dict[str, Any]:
    """The summary as JSON types."""
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
    }


def status_text(fields: dict[str, Any]) -> str:
    """The summary for people."""
    waiting_s = fields["oldest_waiting_s"]
    since = "none waits" if waiting_s is None else f"waits for {waiting_s:.0f} s"
    lines = [
        *_table("images", fields["states"]),
        *_table("outcomes", fields["outcomes"]),
        *_table("labels", fields["labels"]),
        f"{'last outcome':<16}{fields['last_outcome'] or 'none'}",
        f"{'oldest image':<16}{since}",
    ]
    if fields["held_up"]:
        lines += _table("held up by", fields["held_up"], width=40)
    if fields["waiting_elsewhere"]:
        count = fields["waiting_elsewhere"]
        lines += [f"{'not served':<16}{count} images wait in folders that are not configured"]
    if fields["rejections"]:
        lines += ["", "last rejections  (reason, id in the log, file)"]
        lines += [f"  {r['reason']:<20}{r['log_id']}  {r['file']}" for r in fields["rejections"]]
    return "\n".join(lines)


def _table(title: str, counts: dict[str, int], *, width: int = 16) -> list[str]:
    rows = sorted(counts.items(), key=lambda item: -item[1]) or [("none", 0)]
    titles = [title, *[""] * (len(rows) - 1)]
    rows_ = zip(titles, rows, strict=True)
    return [f"{t:<16}{name:<{width}}{count:>9}" for t, (name, count) in rows_]


def _rejection(rejection: Rejection, pseudonyms: Pseudonyms) -> dict[str, Any]:
    return {
        "file": str(rejection.folder / rejection.path.decode("utf-8", "backslashreplace")),
        "reason": rejection.reason,
        "at": _time(rejection.finished_at),
        "log_id": pseudonyms.of(rejection.folder, rejection.path),
    }


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(timespec="seconds")


def _age_s(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, time.time() - seconds), 1)
