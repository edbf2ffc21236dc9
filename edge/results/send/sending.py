"""Issues results, queues them and delivers them: once, or again and again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Final

from edge.errors import EdgeError, first_line
from edge.failpoints import failpoint
from edge.results.formats.format import Context
from edge.results.issued.issued import Issued
from edge.results.send.beginning import begin_targets
from edge.results.send.config import SendConfig
from edge.results.send.delivery import Delivery
from edge.results.send.outbox.entry import Stage
from edge.results.send.outbox.outbox import Outbox
from edge.results.send.queueing import queue_new, refill
from edge.system.notifier import Notifier

# An attempt takes at most 3 minutes; between attempts systemd hears more often than this.
_LONGEST_WAIT_S: Final = 30.0
_TIDY_EVERY_S: Final = 3600.0
# Looking for new results takes no more of the time than this, however many sidecars there are.
_MOST_LOAD: Final = 0.2
# What the status says of each stage.
_SHOWN: Final = {Stage.QUEUED: "queued", Stage.HELD: "held", Stage.ACKED: "sent"}


class Sending:
    """All targets of one configuration, by one process.

    Every method raises StorageError if the outbox or the issued results cannot be used: what is not
    durable must not be sent.
    """

    def __init__(
        self,
        config: SendConfig,
        context: Context,
        issued: Issued,
        outbox: Outbox,
        *,
        issue: Callable[[], None],
        tell: Callable[[str], None],
        notifier: Notifier | None = None,
    ) -> None:
        """Begin where the last process ended.

        Args:
            config: what goes where.
            context: what formats need.
            issued: the results that were issued.
            outbox: what was queued.
            issue: reads sidecars and issues new results.
            tell: takes lines for the log, without patient data.
            notifier: of systemd.
        """
        self._config = config
        self._context = context
        self._issued = issued
        self._outbox = outbox
        self._issue = issue
        self._tell = tell
        self._notifier = notifier or Notifier({})
        self._trouble = ""
        self._tidy_s = 0.0
        begin_targets(outbox, issued, config.targets)
        if count := outbox.take_back():
            tell(f"{count} on the way when the last process ended: sent again, byte for byte")
        self._deliveries = [Delivery(target, outbox, tell) for target in config.targets]

    @property
    def has_trouble(self) -> bool:
        """Whether the sidecars could not be read at the last look."""
        return bool(self._trouble)

    def close(self) -> None:
        """Close all connections."""
        for delivery in self._deliveries:
            delivery.close()

    def once(self) -> Mapping[str, Mapping[str, int]]:
        """Send what can be sent now; returns how many are in each stage, by target."""
        for delivery in self._deliveries:
            delivery.goes_on = False
        self._gather()
        self._deliver(until_s=math.inf)
        for delivery in self._deliveries:
            delivery.hold_late(is_end=True)
        return self._outbox.counts()

    def watch(self, wait: Callable[[float], object] = time.sleep) -> None:
        """Go on until an exception, such as KeyboardInterrupt, ends it, or `wait`.

        Args:
            wait: waits so many seconds; when it returns something true, this method returns.
        """
        self._notifier.notify("READY=1")
        next_poll_s = 0.0
        is_ended: object = False
        while not is_ended:
            began_s = time.monotonic()
            if began_s >= next_poll_s:
                self._gather()
                took_s = time.monotonic() - began_s
                next_poll_s = time.monotonic() + max(self._config.poll_s, took_s / _MOST_LOAD)
                self._tell_status()
            # A long queue must not keep new results from being issued.
            self._deliver(until_s=next_poll_s)
            self._notifier.beat()
            is_ended = wait(self._wait_s(next_poll_s))
        for delivery in self._deliveries:
            delivery.hold_late()

    def _gather(self) -> None:
        """Issue and queue what is new."""
        try:
            self._issue()
            trouble = ""
        except EdgeError as error:
            # Such as a share that is away. What was issued before is delivered meanwhile.
            trouble = first_line(error)
        if trouble != self._trouble:
            self._trouble = trouble
            self._tell(trouble or "sidecars can be read again")
        failpoint("send.issued")
        for target in self._config.targets:
            refill(self._outbox, self._issued, target, self._context)
            queue_new(self._outbox, self._issued, target, self._context, self._tell)
        if time.monotonic() >= self._tidy_s:
            self._outbox.forget_contents(self._config.keep_days)
            self._tidy_s = time.monotonic() + _TIDY_EVERY_S

    def _deliver(self, *, until_s: float) -> None:
        """Take turns until nothing is due, so that no target waits for the queue of another."""
        is_busy = True
        while is_busy and time.monotonic() < until_s:
            is_busy = False
            for delivery in self._deliveries:
                is_busy = delivery.take_turn() or is_busy
                self._notifier.beat()

    def _wait_s(self, next_poll_s: float) -> float:
        due = [wait for d in self._deliveries if (wait := d.wait_s()) is not None]
        return max(0.0, min([next_poll_s - time.monotonic(), _LONGEST_WAIT_S, *due]))

    def _tell_status(self) -> None:
        totals: dict[str, int] = {}
        for stages in self._outbox.counts().values():
            for stage, count in stages.items():
                totals[stage] = totals.get(stage, 0) + count
        words = ", ".join(f"{totals[s]} {word}" for s, word in _SHOWN.items() if s in totals)
        self._notifier.notify(f"STATUS={words or 'nothing was sent yet'}")
