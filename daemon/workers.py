"""Starts the workers, or says why there are too few threads for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from edge.errors import BackendError


def start_workers(
    pool: ThreadPoolExecutor, work: Callable[[], None], needed: int
) -> list[Future[None]]:
    """Have the pool do `work` as many times at once.

    Raises:
        BackendError: not all of them could be started; those that were go on.
    """
    workers: list[Future[None]] = []
    try:
        workers.extend(pool.submit(work) for _ in range(needed))
    except RuntimeError as error:
        raise BackendError(
            f"only {len(workers)} of {needed} workers could be started ({error}). Set fewer "
            "workers, or raise TasksMax= of the unit."
        ) from error
    return workers
