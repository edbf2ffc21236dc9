"""What the log says of single images, by their pseudonyms."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping

from daemon.logs import Pseudonyms
from daemon.records import ClaimedImage, Finished, Postponed, Verdict
from daemon.roots import Root
from edge.labeller import Status

log = logging.getLogger(__name__)


class ImageLog:
    """Writes a line about an image without its path."""

    def __init__(self, roots: Mapping[int, Root], pseudonyms: Pseudonyms) -> None:
        self._roots = roots
        self._pseudonyms = pseudonyms

    def say(self, verdicts: list[Verdict]) -> None:
        """Log verdicts that stand in the journal."""
        for verdict in verdicts:
            self._say(verdict)

    def say_unexpected(self, image: ClaimedImage, error: Exception) -> None:
        """Log a mistake in the program: where, but not its text, which may hold the path."""
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("image %s: unexpected %s\n%s", self._name(image), type(error).__name__, where)

    def _say(self, verdict: Verdict) -> None:
        name = self._name(verdict.image)
        match verdict:
            case Finished(outcome=outcome) if outcome.status is Status.REJECTED:
                log.info("image %s rejected: %s", name, outcome.reason)
            case Finished(outcome=outcome):
                log.debug("image %s %s", name, outcome.status)
            case Postponed(attempts=attempts) if attempts > verdict.image.attempts:
                log.info("image %s failed (%s), tried again later", name, verdict.cause)
            case Postponed():
                log.debug("image %s waits %.1f s: %s", name, verdict.delay_s, verdict.cause)
            case _:
                log.debug("image %s is %s", name, verdict.state)

    def _name(self, image: ClaimedImage) -> str:
        version = image.version
        return self._pseudonyms.of(self._roots[version.root].folder, version.path)
