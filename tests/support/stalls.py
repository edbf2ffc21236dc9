"""A service that stalls now and then, and the percentiles that follow from that."""

from __future__ import annotations

STALL_MS = 200.0
EVERY = 500
LOAD = 0.7


def analytic_ms(percent: float, service_ms: float) -> float:
    """The percentile of an even stream at `LOAD` on one server that stalls at each 500th request.

    The stalled request takes service and stall. Each request after it finds the queue shorter by
    the difference of the interval and the service time, until none is left. So of every 500
    requests, latencies fall evenly from the first to the service time, and the rest takes that.
    """
    step_ms = service_ms / LOAD - service_ms
    return max(service_ms, service_ms + STALL_MS - (1 - percent / 100) * EVERY * step_ms)
