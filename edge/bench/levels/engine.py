"""Engine: the network alone, its input and output where the engine wants them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from edge.bench.levels.pictures import Pictures
from edge.bench.measure.task import Task
from edge.errors import BackendError
from edge.session import Binding, BindingSession, InferenceSession


@contextmanager
def engine_task(
    session: InferenceSession, pictures: Pictures, batch: int, threads: int
) -> Iterator[Task]:
    """A task that runs a bound batch. Each thread that calls it gets a binding of its own.

    Raises:
        BackendError: the back end cannot run its engine alone.
    """
    if not isinstance(session, BindingSession):
        raise BackendError(f"{session.backend} cannot run its engine alone; use --level call.")
    binds = session
    with ExitStack() as stack:
        of_thread = threading.local()

        def binding() -> Binding:
            if not hasattr(of_thread, "binding"):
                of_thread.binding = binds.bind(pictures.batch(0, batch))
                stack.callback(of_thread.binding.close)
            found: Binding = of_thread.binding
            return found

        yield Task(
            session.precision,
            "engine",
            lambda _number: binding().run(),
            images_per_call=batch,
            threads=threads,
        )
