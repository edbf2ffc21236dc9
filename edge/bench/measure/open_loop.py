"""Open loop: requests arrive by a schedule that does not wait for answers.

The latency of a request counts from the moment at which the schedule wanted it. If a stall delays
the generator too, or requests queue, then that time belongs to the latency: somebody would have
waited so long. A loop that waits for each answer before it asks again leaves out exactly these
requests (Tene, How NOT to Measure Latency, 2013: coordinated omission).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.bench.measure.clock import Clock
from edge.bench.measure.record import Record, Service
from edge.errors import BackendError
from edge.text.counted import counted
from edge.text.progress import OnCount

# Before the first arrival, so that the generator is ready for it.
_LEAD_NS: Final = 5_000_000
# A queue of so many seconds of arrivals is no stall of the machine any more: it grows.
_BACKLOG_S: Final = 3.0
_LEAST_BACKLOG: Final = 100
# After the last arrival a rate that the machine holds leaves only a stall to be served. Longer
# than both of these, and the queue has grown all the time.
_REST_S: Final = 1.0
_REST_SHARE: Final = 0.1
# A service that answers nothing for so long has failed.
PATIENCE_S: Final = 60.0
_LOOK_S: Final = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Requests in the order of their intended starts.

    Attributes:
        intended_ns: by the clock.
        durations_ns: from the intended start to the answer.
        late_ns: from the intended start to the end of sending: what the generator was late by.
        window_ns: from the first intended start to the last answer.
    """

    intended_ns: NDArray[np.int64]
    durations_ns: NDArray[np.int64]
    late_ns: NDArray[np.int64]
    window_ns: int
    record: Record


def run(
    arrivals_ns: NDArray[np.int64],
    service: Service,
    clock: Clock,
    on_progress: OnCount,
    *,
    what: str,
    per_second: float | None,
) -> Answers:
    """Send every request at its time, then wait for the answers that are missing.

    Args:
        arrivals_ns: ascending, from 0.
        what: what serves, for the message.
        per_second: the rate of the schedule; None: all arrive at once, and may wait for long.

    Raises:
        BackendError: the rate is more than is served.
        EdgeError: the service failed.
    """
    record = Record(len(arrivals_ns))
    service.begin(record)
    is_burst = per_second is None
    for number in range(len(arrivals_ns)) if is_burst else ():
        service.prepare(number, clock.now_ns())
    start_ns = clock.now_ns() + _LEAD_NS
    intended_ns = arrivals_ns + start_ns
    for number, at_ns in enumerate(intended_ns.tolist()):
        if not is_burst:
            service.prepare(number, at_ns)
        clock.wait_until_ns(at_ns)
        service.send(number)
        record.sent(number, clock.now_ns())
        if per_second is not None:
            _require_kept_up(record, per_second, what, clock.now_ns() - start_ns)
        on_progress(number + 1, len(arrivals_ns))
    last_ns = clock.now_ns()
    _wait_for_all(record, service, clock)
    window_ns = int(record.done_ns.max()) - start_ns
    if per_second is not None:
        _require_short_rest(record, per_second, what, last_ns - start_ns, window_ns)
    return Answers(
        intended_ns, record.done_ns - intended_ns, record.sent_ns - intended_ns, window_ns, record
    )


def _wait_for_all(record: Record, service: Service, clock: Clock) -> None:
    answers, since_ns = record.answers, clock.now_ns()
    while record.unanswered:
        service.wait(_LOOK_S)
        if record.answers != answers:
            answers, since_ns = record.answers, clock.now_ns()
        elif clock.now_ns() - since_ns > PATIENCE_S * 1e9:
            raise BackendError(
                f"{counted(record.unanswered, 'request')} got no answer within {PATIENCE_S:.0f} s "
                "of the last one. Measure a single stream first, to see whether the service works."
            )


def _require_kept_up(record: Record, per_second: float, what: str, elapsed_ns: int) -> None:
    # Those that a late generator has still to send wait as well.
    arrived = min(len(record.sent_ns), int(elapsed_ns / 1e9 * per_second))
    waiting = arrived - record.answers
    if waiting > max(_LEAST_BACKLOG, _BACKLOG_S * per_second):
        raise _too_fast(record, per_second, what, elapsed_ns, waiting)


def _require_short_rest(
    record: Record, per_second: float, what: str, sending_ns: int, window_ns: int
) -> None:
    rest_ns = window_ns - sending_ns
    if rest_ns > max(_REST_S * 1e9, _REST_SHARE * sending_ns):
        waiting = int((record.done_ns > record.sent_ns.max()).sum())
        raise _too_fast(record, per_second, what, window_ns, waiting)


def _too_fast(
    record: Record, per_second: float, what: str, elapsed_ns: int, waiting: int
) -> BackendError:
    served = record.answers / max(elapsed_ns, 1) * 1e9
    return BackendError(
        f"{per_second:g} images/s are more than {what} serves here: after {elapsed_ns / 1e9:.1f} s "
        f"{counted(waiting, 'image')} waited, and it had served {served:.0f} images/s. Give a "
        "lower --rate."
    )
