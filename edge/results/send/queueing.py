"""Puts issued results into the outbox, each in the bytes that its target gets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Final

from edge.command.run import place_of
from edge.results.document.result import SlideResult
from edge.results.formats.format import Context
from edge.results.issued.issued import Issued
from edge.results.send.config import Target
from edge.results.send.outbox.entry import NewEntry
from edge.results.send.outbox.outbox import Outbox
from edge.results.send.targets.answer import outgoing

# Results that are written and queued in one transaction.
_CHUNK: Final = 50


def queue_new(
    outbox: Outbox, issued: Issued, target: Target, context: Context, tell: Callable[[str], None]
) -> None:
    """Queue what was issued since the last call and goes to this target."""
    seen = outbox.begun()[target.name]
    position = seen.position
    while found := issued.after(position, _CHUNK):
        entries = [
            _entry(result, target, context)
            for number, result in found
            if _goes_to(result, target, is_older=number <= seen.began)
        ]
        position = found[-1][0]
        outbox.queue(target.name, entries, position)
        for entry in entries:
            if entry.content is None:
                title = f"{entry.slide_key} revision {entry.revision}"
                tell(f"{target.name}: held {title}: {entry.told}")


def refill(outbox: Outbox, issued: Issued, target: Target, context: Context) -> None:
    """Write those again that a format could not carry and a person has released."""
    for entry in outbox.released_without_content(target.name):
        result = issued.get(entry.slide_key, entry.revision)
        if result is None:
            outbox.hold(entry, "its result is no longer among the issued ones")
        else:
            content, told = _written(result, target, context)
            outbox.fill(entry, content, told)


def _goes_to(result: SlideResult, target: Target, *, is_older: bool) -> bool:
    """Whether a target gets a result.

    Args:
        result: one of those issued.
        target: in question.
        is_older: whether it was issued before the target began. Only then its time counts: a
            verification may be issued long after it was written.
    """
    is_late_enough = target.since is not None and result.completed >= target.since
    return result.state in target.states and (not is_older or is_late_enough)


def _entry(result: SlideResult, target: Target, context: Context) -> NewEntry:
    content, told = _written(result, target, context)
    return NewEntry(
        result_id=result.result_id,
        sample_id=result.sample_id,
        slide_key=result.slide_key,
        revision=result.revision,
        state=str(result.state),
        name=file_name(result, target),
        content=content,
        told=told,
    )


def file_name(result: SlideResult, target: Target) -> str:
    """The same for a result at all times, without patient data.

    Importers take files in the order of their names, so that the time comes first.
    """
    completed = result.completed.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{completed}-{result.slide_key}-r{result.revision}{target.format.suffix}"


def _written(result: SlideResult, target: Target, context: Context) -> tuple[bytes | None, str]:
    """The bytes of a result, or why there are none."""
    try:
        if problem := target.format.misfit(result, context):
            return None, problem
        content = target.format.write(result, context)
        if not isinstance(target.place, Path):
            outgoing(content)
    except Exception as error:  # noqa: BLE001 - one result must not stop those of all other patients
        # Its text may hold an id.
        where = f"{type(error).__name__} at {place_of(error)}"
        return None, f"{target.format.name} could not be written ({where}); report this"
    return content, ""
