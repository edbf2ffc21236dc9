"""Whether the targets of a configuration can begin, or go on, where the outbox stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from edge.errors import ConfigError, StorageError
from edge.results.issued.issued import Issued
from edge.results.send.config import Target
from edge.results.send.outbox.entry import Begun, Stage
from edge.results.send.outbox.outbox import Outbox
from edge.text.counted import counted

_OPEN: Final = (Stage.QUEUED, Stage.SENDING, Stage.HELD)


def begin_targets(outbox: Outbox, issued: Issued, targets: Sequence[Target]) -> None:
    """Let each new target begin with the next result, or with those of its `since`.

    Raises:
        ConfigError, StorageError: see `require_targets`.
    """
    require_targets(outbox, issued, targets)
    newest = issued.newest()
    for target in targets:
        position = newest if target.since is None else 0
        outbox.begin_target(target.name, Begun(position, newest, target.kind))


def require_targets(outbox: Outbox, issued: Issued, targets: Sequence[Target]) -> None:
    """Check that the targets can begin or go on; nothing is changed.

    Raises:
        ConfigError: the `since` of a new target is in the future, or what is open for a target is
            of another kind.
        StorageError: the outbox has seen results that are not among the issued ones, or was lost.
    """
    newest = issued.newest()
    results = counted(newest, "result")
    begun = outbox.begun()
    if newest and not begun and any(target.since is None for target in targets):
        # The targets would begin with the next result, and what was queued would be lost.
        raise StorageError(
            f"{issued.path} has {results}, and the outbox beside it is new: what was sent "
            "and what was queued is not known. Restore outbox.sqlite3, or set `since` of each "
            "target: to a time before the loss, to send again what was completed since, or to now."
        )
    for target in targets:
        seen = begun.get(target.name)
        if seen is None:
            _require_past(target)
            continue
        if seen.position > newest:
            # New results would get the numbers of those, and never be queued.
            raise StorageError(
                f"{issued.path} has {results}, and {target.name} was given {seen.position}: "
                "it is older than the outbox, or was deleted. Restore its newest backup, move "
                "outbox.sqlite3* aside and set `since` of each target to a time before it."
            )
        if seen.kind != target.kind:
            _require_none_open(outbox, target, seen.kind)


def _require_past(target: Target) -> None:
    # Once it has begun its `since` is in the past, whatever a clock that was set back says.
    if target.since is not None and target.since > datetime.now(UTC):
        raise ConfigError(
            f"since of {target.name} is {target.since.isoformat()}, which is in the future. Give a "
            "time in the past, or none: a new target gets what is issued from now on."
        )


def _require_none_open(outbox: Outbox, target: Target, kind: str) -> None:
    """The bytes of what is queued are of the kind that the target was."""
    stages = outbox.counts().get(target.name, {})
    if count := sum(stages.get(stage, 0) for stage in _OPEN):
        raise ConfigError(
            f"{target.name} is {target.kind} now, and {counted(count, 'result')} for it "
            f"{'is' if count == 1 else 'are'} queued or held as {kind}. Give the changed target "
            "another name, or send or give up those first (edge-results send --status)."
        )
