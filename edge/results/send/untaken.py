"""Issued results that no target takes, for an operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from edge.results.issued.issued import Issued
from edge.results.send.config import Target
from edge.results.send.outbox.outbox import Outbox

# So many of the newest are looked at, in about a second; the others are counted.
_MOST_READ: Final = 20_000


def untaken_lines(outbox: Outbox, issued: Issued, targets: Sequence[Target]) -> Iterator[str]:
    """How many issued results are of no target, by state, with the reason; none if all are."""
    names = [target.name for target in targets]
    positions = outbox.positions()
    looked_at = min((positions[name] for name in names if name in positions), default=0)
    taken = outbox.results_of(names)
    loose = [one for one in issued.index() if one[1:] not in taken]
    passed = [(key, revision) for number, key, revision in loose if number <= looked_at]
    read = [issued.state(key, revision) for key, revision in passed[-_MOST_READ:]]
    states = Counter(state for state in read if state is not None)
    wanted = {state for target in targets for state in target.states}
    if loose:
        yield ""
        yield "issued, and sent to no target:"
    for state, count in sorted(states.items()):
        is_old = "issued before a target for these began, or completed before its `since`"
        yield f"  {count} {state}: {is_old if state in wanted else 'no target takes these'}"
    if older := len(passed) - len(read):
        yield f"  {older} older ones"
    if waiting := len(loose) - len(passed):
        yield f"  {waiting} not queued yet: edge-results send does that"
