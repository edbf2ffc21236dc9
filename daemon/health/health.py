"""The health of the service: set by its threads, read by metrics, `status` and /health.

People who may not see patients' ids read the reasons. So a reason never holds an image's path, a
sample id or the text of an error, which may quote them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import edge
from daemon.image.passed_over import PassedOver
from daemon.system.clock import Clock
from edge.sidecar import ModelFacts
from edge.text.rfc3339 import rfc3339
from edge.trust.drift import Drift

# In the state folder, for `edge-daemon status`.
HEALTH_NAME: Final = "health.json"
# The known image passes every few seconds. After this time without it, the health is `failing`.
KNOWN_IMAGE_STALE_AFTER_S: Final = 30.0


# Where a person looks when images have changed, the most frequent cause first.
CAUSES: Final = "check lamp, focus, stain, white balance or instrument"


class HealthStatus(StrEnum):
    """`degraded`: images are labelled, but a person is needed. `failing`: none is labelled."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Queue:
    """Images without an outcome: `settling` ones are not in the journal, a worker has `claimed`."""

    waiting: int = 0
    claimed: int = 0
    settling: int = 0
    oldest_waiting_s: float | None = None

    @property
    def backlog(self) -> int:
        """The number of all of them."""
        return self.waiting + self.claimed + self.settling


@dataclass(frozen=True, slots=True)
class Part:
    """The health of one part of the service. No image is labelled while a vital part fails."""

    is_ok: bool
    reason: str
    is_vital: bool


@dataclass(frozen=True, slots=True)
class Watch:
    """A watch folder's state.

    Attributes:
        is_there: it exists and answers.
        has_events: inotify reports its new files; otherwise it is polled.
        answers: no call to its file system hangs.
        passed_over: what the last whole scan left out; None before the first.
    """

    is_there: bool
    has_events: bool
    answers: bool = True
    passed_over: PassedOver | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        fields: dict[str, Any] = {"there": self.is_there, "events": self.has_events}
        if self.passed_over is not None:
            fields["passed_over"] = dict(self.passed_over.reasons)
            fields["passed_over_suffixes"] = dict(self.passed_over.suffixes)
        return fields


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The health at one moment."""

    status: HealthStatus
    reasons: tuple[str, ...]
    parts: Mapping[str, Part]
    model: ModelFacts | None
    is_failed_over: bool
    canary_age_s: float | None
    queue: Queue
    watch: Mapping[int, Watch]
    drift: Mapping[int, Drift]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for /health."""
        model = self.model
        oldest_s = self.queue.oldest_waiting_s
        return {
            "status": str(self.status),
            "reasons": list(self.reasons),
            "model": f"{model.name} {model.version}" if model else None,
            "bundle_sha256": model.bundle_sha256 if model else None,
            "precision": model.precision if model else None,
            "backend": model.backend if model else None,
            "graph": model.graph if model else None,
            "failed_over": self.is_failed_over,
            "canary_age_s": _rounded(self.canary_age_s),
            "backlog": self.queue.backlog,
            "waiting": self.queue.waiting,
            "claimed": self.queue.claimed,
            "settling": self.queue.settling,
            "oldest_waiting_s": _rounded(oldest_s),
            "watch": [
                {"number": number, **one.to_dict()} for number, one in sorted(self.watch.items())
            ],
            "drift": [
                {"number": number, **_drift_fields(one)} for number, one in self.drift.items()
            ],
        }


class Health:
    """The current health. Every method may be called from any thread and none of them waits."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._parts: dict[str, Part] = {}
        self._model: ModelFacts | None = None
        self._is_failed_over = False
        self._known_image_at_s: float | None = None
        self._queue = Queue()
        self._settling = 0
        self._watch: dict[int, Watch] = {}
        self._drift: dict[int, Drift] = {}
        self.process: Final = {
            "pid": os.getpid(),
            "since": datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
            "software": f"microscope-edge {edge.__version__}",
        }

    def set(self, part: str, *, ok: bool, reason: str = "", is_vital: bool = True) -> None:
        """Set the health of a part, such as `results`, `storage` or `log`.

        Args:
            part: its name, a word of the program, never of a file.
            ok: whether it works.
            reason: what is wrong, without ids, paths of images or texts of errors.
            is_vital: whether no image is labelled while it fails.
        """
        with self._lock:
            self._parts[part] = Part(ok, "" if ok else reason, is_vital)

    def set_model(self, model: ModelFacts, *, failed_over: bool = False) -> None:
        """Set the model that labels now, and whether it replaces one on a GPU that failed."""
        with self._lock:
            self._model = model
            self._is_failed_over = failed_over

    def known_image_passed(self) -> None:
        """Note that the known image has got its label now."""
        self._known_image_at_s = self._clock()

    def set_queue(self, queue: Queue) -> None:
        """Set the counts of the journal's queue."""
        self._queue = queue

    def set_settling(self, images: int) -> None:
        """Set how many images are settling."""
        self._settling = images

    def set_watch(
        self,
        number: int,
        *,
        is_there: bool,
        has_events: bool,
        answers: bool = True,
        passed_over: PassedOver | None = None,
    ) -> None:
        """Set the state of a watch folder, by its number in the configuration."""
        with self._lock:
            self._watch[number] = Watch(is_there and answers, has_events, answers, passed_over)

    def set_drift(self, number: int, drift: Drift) -> None:
        """Set how far a watch folder's images have drifted, by its number in the configuration."""
        with self._lock:
            self._drift[number] = drift

    def report(self) -> HealthReport:
        """The health now."""
        with self._lock:
            parts = dict(self._parts)
            model, is_failed_over = self._model, self._is_failed_over
            watch = dict(self._watch)
            drift = dict(sorted(self._drift.items()))
        known_image_at_s = self._known_image_at_s
        age_s = None if known_image_at_s is None else self._clock() - known_image_at_s
        if age_s is not None and age_s > KNOWN_IMAGE_STALE_AFTER_S:
            reason = f"the known image has not got its label for {age_s:.0f} s"
            parts["canary"] = Part(is_ok=False, reason=reason, is_vital=True)
        if is_failed_over:
            reason = "the GPU failed and the CPU labels in its place"
            parts["gpu"] = Part(is_ok=False, reason=reason, is_vital=False)
        for number, one in watch.items():
            if not one.is_there:
                reason = (
                    f"the folder or its share {'is away' if one.answers else 'does not answer'}"
                )
                parts[f"watch-{number}"] = Part(is_ok=False, reason=reason, is_vital=False)
        for number, state in drift.items():
            if state.since_s is not None:
                reason = _drift_reason(state.since_s)
                parts[f"drift-{number}"] = Part(is_ok=False, reason=reason, is_vital=False)
        bad = {name: part for name, part in parts.items() if not part.is_ok}
        return HealthReport(
            status=_status(bad),
            reasons=tuple(f"{name}: {part.reason or 'not working'}" for name, part in bad.items()),
            parts=parts,
            model=model,
            is_failed_over=is_failed_over,
            canary_age_s=age_s,
            queue=replace(self._queue, settling=self._settling),
            watch=watch,
            drift=drift,
        )


def _status(bad: Mapping[str, Part]) -> HealthStatus:
    if any(part.is_vital for part in bad.values()):
        return HealthStatus.FAILING
    return HealthStatus.DEGRADED if bad else HealthStatus.OK


def _drift_reason(since_s: float) -> str:
    return f"images look different from the laboratory's since {_moment(since_s)}: {CAUSES}"


def _drift_fields(drift: Drift) -> dict[str, Any]:
    since_s = drift.since_s
    return {
        "since": None if since_s is None else _moment(since_s),
        "level": round(drift.level, 2),
        "cells": drift.cells,
    }


def _moment(seconds: float) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC).astimezone(), timespec="seconds")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
