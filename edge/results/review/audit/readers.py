"""Agreement of the first and the second reader of blind readings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from edge.results.review.audit.agreement import Share
from edge.results.review.audit.period import Period
from edge.results.review.record.entry import Action, Entry
from edge.results.review.record.record import Record
from edge.results.verification.verification_file import LABELS


@dataclass(slots=True)
class Readers:
    """Cells that two persons decided without sight of each other.

    Attributes:
        slides: that two persons finished.
        counts: by the label of who finished first, and of who finished second.
    """

    slides: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def agreed(self) -> Share:
        """Of all cells."""
        same = sum(n for (first, second), n in self.counts.items() if first == second)
        return Share(same, self.counts.total())

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa, agreement beyond chance; None where chance alone agrees always.

        J. Cohen, Educational and Psychological Measurement 20:37, 1960.
        """
        total = self.counts.total()
        if not total:
            return None
        firsts, seconds = Counter[str](), Counter[str]()
        for (first, second), n in self.counts.items():
            firsts[first] += n
            seconds[second] += n
        chance = sum(firsts[label] * seconds[label] for label in firsts) / total**2
        return None if chance == 1 else (self.agreed.count / total - chance) / (1 - chance)

    def classes(self) -> list[tuple[str, Share, Counter[str]]]:
        """By the first reader's label: how often the second gave it, too, and what else."""
        found = []
        for label in LABELS:
            seconds = Counter({b: n for (a, b), n in self.counts.items() if a == label})
            share = Share(seconds[label], seconds.total())
            del seconds[label]
            if share.total:
                found.append((label, share, seconds))
        return found


def readers_of(record: Record, period: Period) -> Readers:
    """Agreement on the slides whose second reading was finished in the period.

    Cells that one of them had not decided by then, such as those that came later, do not count.

    Raises:
        StorageError: the record cannot be read.
    """
    found = Readers()
    for key in record.slides_with(Action.FINISH):
        entries = _blind(record.of_slide(key))
        finished = _finished(entries)
        if len(finished) < 2 or finished[1].at not in period:
            continue
        until = finished[1].number
        first, second = (_labels(entries, one.by.id, until) for one in finished[:2])
        found.slides += 1
        found.counts.update((first[cell], second[cell]) for cell in first.keys() & second.keys())
    return found


def _blind(entries: list[Entry]) -> list[Entry]:
    """The entries before the first signature that nobody took back."""
    signed = next((one.number for one in entries if one.action is Action.SIGN), None)
    before = [one for one in entries if signed is None or one.number < signed]
    undone = {one.undoes for one in before if one.action is Action.UNDO}
    return [one for one in before if one.number not in undone]


def _finished(entries: list[Entry]) -> list[Entry]:
    """The first entry of each person who finished, in their order."""
    found: dict[str, Entry] = {}
    for one in entries:
        if one.action is Action.FINISH:
            found.setdefault(one.by.id, one)
    return list(found.values())


def _labels(entries: list[Entry], person_id: str, until: int) -> dict[str, str]:
    """What a person had decided, by the image's hash."""
    found: dict[str, str] = {}
    for one in entries:
        if one.action is Action.DECIDE and one.by.id == person_id and one.number < until:
            found.update({cell.sha256: cell.after for cell in one.cells if cell.after})
    return found
