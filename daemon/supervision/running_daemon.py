"""Whether a daemon uses a state folder, and the health that it wrote last. For `status`."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from daemon.health.health import HEALTH_NAME
from daemon.system.locks import LOCKS, locking_process
from daemon.system.state_dir import LOCK_NAME
from edge.files.safe_open import read_bounded
from edge.files.strict_json import parse_json

# A hundred watch folders, each with its reason, take 20 kB.
_MOST_BYTES: Final = 1024 * 1024
# The file is written every five seconds.
_STALE_AFTER_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """The daemon that uses a state folder.

    Attributes:
        pid: its process; None: no daemon runs.
        health: what this process wrote last; None: nothing yet.
        silent_s: seconds since it wrote, if that is longer than it should be.
    """

    pid: int | None
    health: dict[str, Any] | None = None
    silent_s: float | None = None


def read_running(state_dir: Path, *, locks: Path = LOCKS) -> Running:
    """Find the daemon that holds the state folder's lock, without taking the lock.

    Taking it, even for a moment, could make a daemon fail that starts at that time.
    """
    pid = _holder(state_dir / LOCK_NAME, locks)
    health = _read_health(state_dir / HEALTH_NAME)
    if health is None:
        return Running(pid)
    age_s = time.time() - health["written_at"]
    # A daemon holds no lock between two services and while it waits for its disk.
    if pid is None and age_s <= _STALE_AFTER_S and Path(f"/proc/{health['pid']}").exists():
        pid = health["pid"]
    # The file may be of a daemon that was killed, not of the process that runs now.
    if health["pid"] != pid:
        return Running(pid)
    return Running(pid, health, age_s if age_s > _STALE_AFTER_S else None)


def _holder(lock: Path, locks: Path) -> int | None:
    with suppress(OSError):
        return locking_process(lock.stat().st_ino, locks)
    return None


def _read_health(path: Path) -> dict[str, Any] | None:
    """The content of the health file; None where it is missing or not valid."""
    with suppress(OSError, ValueError):
        fields = parse_json(read_bounded(path, _MOST_BYTES))
        if isinstance(fields, dict) and _is_valid(fields):
            return fields
    return None


def _is_valid(fields: dict[str, Any]) -> bool:
    texts = ("status", "since", "model", "precision", "backend")
    datetime.fromisoformat(str(fields.get("since")))
    return (
        all(isinstance(fields.get(name), str | None) for name in texts)
        and isinstance(fields.get("status"), str)
        and isinstance(fields.get("pid"), int)
        and isinstance(fields.get("written_at"), float)
        and isinstance(fields.get("canary_age_s"), float | None)
        and isinstance(fields.get("reasons"), list)
        and all(isinstance(reason, str) for reason in fields["reasons"])
    )
