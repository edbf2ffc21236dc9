"""An outage on a clock to turn."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from daemon.health.health import Health
from daemon.results.outage import Outage
from edge.errors import StorageError
from edge.retry.policy import RetryPolicy

REFUSED, AGAIN = "sidecars cannot be written (", "sidecars can be written again"


A, B, C = Path("/results/A"), Path("/results/B"), Path("/results/C")


FULL = "No space left on device"


POLICY = RetryPolicy(first_delay_s=1.0, max_delay_s=60.0)


class Held:
    """The locks of a destination, as far as an outage needs them."""

    def __init__(self) -> None:
        self.are_held = True
        self.problem: StorageError | None = None

    def hold(self, _paths: Collection[Path]) -> None:
        if self.problem:
            raise self.problem
        self.are_held = True

    def release(self) -> None:
        self.are_held = False


class Case:
    """Trouble on a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.locks = Held()
        self.health = Health()
        self.freed = 0
        self.outage = Outage(
            self.locks,  # type: ignore[arg-type]
            self.health,
            POLICY,
            self.free,
            clock=lambda: self.now_s,
        )

    def free(self) -> None:
        self.freed += 1

    def refuse(self, folder: Path, *, after_s: float = 1.0, reason: str = FULL) -> float:
        self.now_s += after_s
        return self.outage.refused(folder, reason)

    def write(self, folder: Path, *, after_s: float = 3.0) -> None:
        self.now_s += after_s
        self.outage.written({folder}, self.outage.begin_write([folder]))

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.health.report().reasons


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = [record.getMessage() for record in caplog.records]
    return ["refused" if REFUSED in text else "again" if AGAIN in text else text for text in texts]
