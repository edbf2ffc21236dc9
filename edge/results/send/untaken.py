"""Issued results that no target takes, for an operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from edge.errors import EdgeError, first_line
from edge.results.issued.issued import Issued
from edge.results.send.beginning import require_targets
from edge.results.send.config import Target
from edge.results.send.outbox.outbox import Outbox

# So many of the newest are looked at, in about a second; the others are counted.
_MOST_READ: Final = 20_000


def untaken_lines(outbox: Outbox, issued: Issued, targets: Sequence[Target]) -> Iterator[str]:
    """How many issued results are of no target, by state, with the reason; none if all are.

    A line says why nothing can be sent, if so.
    """
    begun = outbox.begun()
    positions = [begun[target.name].position for target in targets if target.name in begun]
    looked_at = min(positions, default=0)
    given = outbox.given()
    loose = [one for one in issued.index() if one[1:] not in given]
    passed = [(key, revision) for number, key, revision in loose if number <= looked_at]
    read = [issued.state(key, revision) for key, revision in passed[-_MOST_READ:]]
    states = Counter(state for state in read if state is not None)
    wanted = {state for target in targets for state in target.states}
    if loose:
        yield ""
        yield "issued, and sent to no target:"
    for state, count in sorted(states.items()):
        is_old = "issued before a target for these began, and not completed since its `since`"
        yield f"  {count} {state}: {is_old if state in wanted else 'no target takes these'}"
    if older := len(passed) - len(read):
        yield f"  {older} older ones"
    problem = _problem(outbox, issued, targets)
    if waiting := len(loose) - len(passed):
        then = "edge-results send refuses to start" if problem else "edge-results send does that"
        yield f"  {waiting} not queued yet: {then}"
    if problem:
        yield ""
        yield f"nothing can be sent: {problem}"


def _problem(outbox: Outbox, issued: Issued, targets: Sequence[Target]) -> str:
    try:
        require_targets(outbox, issued, targets)
    except EdgeError as error:
        return first_line(error)
    return ""
