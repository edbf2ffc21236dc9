"""What is well and what is not: filled by whoever knows, read by metrics, status and /health.

Reasons are read over the network and by people who may not see patients' ids: no path of an image,
no sample id, and therefore no text of an error goes into one.
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

# The known image goes through every few seconds. Whoever answers "ok" without that proof knows
# only that a thread is alive that answers.
KNOWN_IMAGE_STALE_AFTER_S: Final = 30.0


class HealthStatus(StrEnum):
    """`degraded`: images get their labels, but something needs a person. `failing`: they do not."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Queue:
    """Images on their way: `settling` are not recorded yet, `claimed` are in a worker's hands."""

    waiting: int = 0
    claimed: int = 0
    settling: int = 0
    oldest_waiting_s: float | None = None

    @property
    def backlog(self) -> int:
        """All of them."""
        return self.waiting + self.claimed + self.settling


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the service; where a vital part is not well, no image gets a label."""

    is_ok: bool
    reason: str
    is_vital: bool


@dataclass(frozen=True, slots=True)
class Watch:
    """A watch folder: whether it is there, and whether the kernel tells of its new files.

    One that does not answer is not there.
    """

    is_there: bool
    has_events: bool
    answers: bool = True
    passed_over: PassedOver | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; `passed_over` once a whole scan has ended."""
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
        }


class Health:
    """The present health. Every method may be called from any thread and none of them waits."""

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
        self.process: Final = {
            "pid": os.getpid(),
            "since": datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
            "software": f"microscope-edge {edge.__version__}",
        }

    def set(self, part: str, *, ok: bool, reason: str = "", is_vital: bool = True) -> None:
        """Note how a part is, such as `inference`, `journal`, `results`, `watching`.

        Args:
            part: its name, a single word from the program, not from a file.
            ok: whether it works.
            reason: what is wrong, in words without ids, paths of images or texts of errors.
            is_vital: whether no image gets a label while it is not well.
        """
        with self._lock:
            self._parts[part] = Part(ok, "" if ok else reason, is_vital)

    def set_model(self, model: ModelFacts, *, failed_over: bool = False) -> None:
        """Note which model labels now, and whether it stands in for a device that failed."""
        with self._lock:
            self._model = model
            self._is_failed_over = failed_over

    def known_image_passed(self) -> None:
        """A known image has gone the whole path and got its label."""
        self._known_image_at_s = self._clock()

    def set_queue(self, queue: Queue) -> None:
        """Note what the journal has on its way."""
        self._queue = queue

    def set_settling(self, images: int) -> None:
        """Note how many images are not recorded yet."""
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
        """Note how the watch folder of this number in the configuration is seen."""
        with self._lock:
            self._watch[number] = Watch(is_there and answers, has_events, answers, passed_over)

    def report(self) -> HealthReport:
        """The health now."""
        with self._lock:
            parts = dict(self._parts)
            model, is_failed_over = self._model, self._is_failed_over
            watch = dict(self._watch)
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
        bad = {name: part for name, part in parts.items() if not part.is_ok}
        return HealthReport(
            status=_status(bad),
            reasons=tuple(f"{name}: {part.reason or 'not well'}" for name, part in bad.items()),
            parts=parts,
            model=model,
            is_failed_over=is_failed_over,
            canary_age_s=age_s,
            queue=replace(self._queue, settling=self._settling),
            watch=watch,
        )


def _status(bad: Mapping[str, Part]) -> HealthStatus:
    if any(part.is_vital for part in bad.values()):
        return HealthStatus.FAILING
    return HealthStatus.DEGRADED if bad else HealthStatus.OK


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
