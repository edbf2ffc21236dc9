"""Call: one `infer` of a session, from host array to host array."""

from __future__ import annotations

from edge.bench.levels.pictures import Pictures
from edge.bench.measure.task import Task
from edge.session import InferenceSession


def call_task(session: InferenceSession, pictures: Pictures, batch: int, threads: int) -> Task:
    """A task that infers the next images."""
    return Task(
        session.precision,
        "call",
        lambda number: session.infer(pictures.batch(number, batch)),
        images_per_call=batch,
        threads=threads,
    )
