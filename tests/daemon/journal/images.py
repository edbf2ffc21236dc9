"""Images in a journal."""

from __future__ import annotations

from pathlib import Path

from daemon.image.records import ImageVersion
from daemon.journal.journal import Journal, open_journal
from edge.labeller import ImageFacts, Outcome, Timing
from edge.postprocess import Decision
from edge.status import Status


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def version(name: str, size_bytes: int = 10, root: int = 1) -> ImageVersion:
    return ImageVersion(root, name.encode(), size_bytes, 1_700_000_000_123_456_789)


def labelled(label: str) -> Outcome:
    decision = Decision(label, 0.9, {label: 0.9}, is_identified=True)
    return Outcome(Status.LABELLED, ImageFacts("ab" * 32, 10), Timing(), decision)


def reopened(journal: Journal, folder: Path) -> Journal:
    journal.close()
    journal = open_journal(folder)
    journal.serve(folder / "export")
    return journal
