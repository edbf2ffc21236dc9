"""The sender that is killed: sends what was issued until nothing is left, or until it is killed.

python -m tests.campaigns.mllp_faults.child STATE PORT SAMPLES REVISIONS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

from edge.failpoints import arm_failpoints
from edge.results.formats.code_map import load_code_map
from edge.results.formats.format import Context, Site
from edge.results.formats.hl7.messages import ORU
from edge.results.issued.issued import Issued
from edge.results.send.config import SendConfig, Target
from edge.results.send.outbox.file import only_sender
from edge.results.send.outbox.outbox import Outbox
from edge.results.send.sending import Sending
from edge.results.send.targets.mllp import Receiver
from edge.results.settings.slide_config import SlideConfig
from edge.retry.policy import RetryPolicy
from tests.support.slide_results import signed

NAME: Final = "lis"
ANSWER_S: Final = 0.1
# Between two looks.
_PAUSE_S: Final = 0.002


def main(state: Path, port: int, samples: int, revisions: int) -> None:
    """Issue and send everything; what was issued before stays as it is."""
    arm_failpoints()
    retries = RetryPolicy(attempts=4, first_delay_s=0.004, max_delay_s=0.01)
    place = Receiver("127.0.0.1", port, connect_s=2, answer_s=ANSWER_S)
    target = Target(NAME, ORU, place, retries=retries)
    config = SendConfig(state, SlideConfig(state), Site(), None, (target,), poll_s=1, keep_days=30)
    context = Context(load_code_map(), Site())
    todo = [
        (f"S{number:04}", revision)
        for revision in range(1, revisions + 1)
        for number in range(samples)
    ]

    with only_sender(state), Issued.open(state) as issued, Outbox(state) as outbox:

        def issue() -> None:
            # Half of what is left, so that results are issued while others are on their way.
            part = todo[: max(1, len(todo) // 2)]
            del todo[: len(part)]
            for sample, revision in part:
                issued.add(signed(sample, revision))

        sending = Sending(config, context, issued, outbox, issue=issue, tell=lambda _line: None)
        try:
            while True:
                sending.once()
                # What is still queued then waits for something that is held.
                if not todo and outbox.next_try_s(NAME) is None:
                    break
                time.sleep(_PAUSE_S)
        finally:
            sending.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
