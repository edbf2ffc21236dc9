"""What an operator sees of the outbox, and decides about what is held."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from typing import Final

from edge.errors import ConfigError
from edge.results.send.outbox.entry import Entry, Stage
from edge.results.send.outbox.outbox import Outbox
from edge.text.counted import counted

# More would fill the terminal; the counts are of all.
_MOST_SHOWN: Final = 100
_HEADINGS: Final = {
    Stage.QUEUED: "queued",
    Stage.SENDING: "sending",
    Stage.HELD: "held",
    Stage.ACKED: "sent",
    Stage.GIVEN_UP: "given up",
}


def status_lines(outbox: Outbox, targets: Sequence[str]) -> Iterator[str]:
    """The counts of each target, then what is held and what waits.

    Args:
        outbox: has them.
        targets: the names of those that are sent to.

    Returns:
        The lines.

    Samples are named: an operator has to find them in the LIS.
    """
    counts = outbox.counts()
    names = [*targets, *sorted(set(counts) - set(targets))]
    width = max(len("target"), *(len(_shown(name, targets)) for name in names))
    yield f"{'target':{width}}" + "".join(f"{word:>10}" for word in _HEADINGS.values())
    for name in names:
        found = counts.get(name, {})
        numbers = "".join(f"{found.get(stage, 0):>10}" for stage in _HEADINGS)
        yield f"{_shown(name, targets):{width}}{numbers}"
    entries = outbox.open_entries(_MOST_SHOWN)
    held = [entry for entry in entries if entry.stage is Stage.HELD]
    waiting = [entry for entry in entries if entry.stage is not Stage.HELD]
    if held:
        yield ""
        yield "held; decide with --release NUMBER, or --give-up NUMBER --reason TEXT:"
        for entry in held:
            yield from _entry_lines(entry)
    if waiting:
        yield ""
        yield "on the way:"
        first = {(entry.target, entry.sample_id): entry.id for entry in reversed(held)}
        for entry in waiting:
            yield from _entry_lines(entry)
            if entry.target not in targets:
                yield "      nobody sends it: configure its target again, or --give-up it"
            blocker = first.get((entry.target, entry.sample_id), entry.id)
            # A later one may be held too: its format cannot carry it.
            if blocker < entry.id:
                yield f"      waits for {blocker}, which is held"


def release(outbox: Outbox, number: int, targets: Sequence[str]) -> Entry:
    """Have a held result sent again.

    Raises:
        ConfigError: there is none of this number, nobody sends it, or a later revision was sent.
    """
    entry = outbox.entry(number)
    if entry is not None and entry.stage is Stage.HELD and entry.target not in targets:
        raise ConfigError(
            f"{number} is for {entry.target}, which is not configured, or not as it was, so that "
            "nobody would send it. Configure that target again, or --give-up it."
        )
    if entry is not None and entry.stage is Stage.HELD and outbox.is_overtaken(entry):
        raise ConfigError(
            f"{entry.target} has a later revision of {number} already, which it would replace. "
            "--give-up it, and look at what the LIS shows."
        )
    return outbox.release(number)


def give_up(outbox: Outbox, number: int, reason: str | None, targets: Sequence[str]) -> Entry:
    """Send a held result no more, or a queued one that nobody sends; note who decided and why.

    Args:
        outbox: has it.
        number: of the result.
        reason: for it.
        targets: the names of those that are sent to.

    Raises:
        ConfigError: there is no reason, or no such result of this number.
    """
    if not reason or not reason.strip():
        raise ConfigError("--give-up needs --reason TEXT: why this result is not sent.")
    entry = outbox.entry(number)
    is_of_nobody = entry is not None and entry.target not in targets
    return outbox.give_up(number, f"{reason.strip()} ({_user()})", also_queued=is_of_nobody)


def _shown(name: str, targets: Sequence[str]) -> str:
    return name if name in targets else f"{name} (not configured)"


def _entry_lines(entry: Entry) -> Iterator[str]:
    tries = counted(entry.attempts, "attempt")
    if entry.failures and entry.stage is not Stage.HELD:
        tries += f", {counted(entry.failures, 'failure')} that count{'s' * (entry.failures == 1)}"
    yield f"  {entry.id}  {entry.target}: sample {entry.sample_id}, slide {entry.title}"
    yield f"      {entry.stage} since {entry.changed}, {tries}"
    if entry.told:
        yield f"      {entry.told}" + (f": {entry.detail}" if entry.detail else "")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown user"
