"""A supervisor of a real service that does not run, on a clock to turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from daemon.health.stages import Stages
from daemon.service import Service
from daemon.supervision.known_image import KnownImage
from daemon.supervision.supervisor import Supervisor


class Bench:
    """A supervisor of a real service that does not run, on a clock to turn."""

    def __init__(self, service: Service) -> None:
        assert service.supervisor is not None
        self.exits: list[int] = []
        self.now_s = 1000.0
        parts, watched = service.parts, service.supervisor.watched
        known_image = KnownImage(
            watched.current_model,
            parts.journal,
            watched.state_dir,
            parts.require_state_dir,
            clock=self.clock,
        )
        self.watched = replace(watched, stages=Stages(clock=self.clock), known_image=known_image)
        self.supervisor = Supervisor(self.watched, exit_now=self.exits.append, clock=self.clock)
        self.watched.known_image.pass_once()

    def clock(self) -> float:
        return self.now_s

    def move_on(self, seconds: float) -> None:
        """Time passes, everything that no test holds up moves, and what is found is told."""
        self.now_s += seconds
        self.watched.stages.tick()
        self.watched.stages.note_queue_progress()
        self.watched.known_image.pass_once()
        self.supervisor.check_and_report()

    def check_for(self, seconds: float, *others: Callable[[], None]) -> str | None:
        """Check twice a second while time passes and others move; what is found at the end."""
        end_s, found = self.now_s + seconds, None
        while self.now_s < end_s:
            self.now_s = min(self.now_s + 0.5, end_s)
            for other in others:
                other()
            found = self.supervisor.check()
        return found

    @contextmanager
    def hanging_in(self, stage: str) -> Iterator[None]:
        entered, leave = threading.Event(), threading.Event()

        def hang() -> None:
            with self.watched.stages.stage(stage):
                entered.set()
                leave.wait(20)

        thread = threading.Thread(target=hang)
        thread.start()
        entered.wait(20)
        try:
            yield
        finally:
            leave.set()
            thread.join()
