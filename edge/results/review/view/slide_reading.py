"""What the record says of a slide's cells: their labels, and who has decided which of them.

A cell is decided by a person who gave or confirmed the label that it has now. If another label
came since, from another person or with a verification, the person has to look again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from edge.results.document.result import Person, SlideResult
from edge.results.review.record.entry import Action, Entry

# By the image's SHA-256; None: unidentified.
Labels: TypeAlias = Mapping[str, str | None]
# Who read a slide before it is signed first, where the site wants it.
READERS: Final = 2


class Kind(StrEnum):
    """How a slide is read."""

    SHARED = "shared"  # every person sees what the others decided
    BLIND = "blind"  # a person sees the model's labels and the own decisions alone
    CONSENSUS = "consensus"  # two persons have finished, and see where they differ


@dataclass(frozen=True, slots=True)
class SlideReading:
    """A slide as one person sees it.

    Attributes:
        labels: as they stand, of every cell of the slide.
        deciders: who gave or confirmed the label that stands; cells that nobody decided are
            missing.
        decided: cells that this person has decided.
        others: in a consensus, the other reader's label of the cells on which the two differ.
        notes: entries of notes.
        undo: number of the entry that this person may take back.
        readers: who has finished a blind reading, in that order.
        signature: the last one.
        is_newest: whether the last signature is the newest word, and not the last result's
            verification.
        has_begun: whether somebody has decided cells since the last signature.
    """

    kind: Kind
    labels: Labels
    deciders: Mapping[str, Person]
    decided: frozenset[str]
    others: Labels
    notes: tuple[Entry, ...]
    undo: int | None
    readers: tuple[Person, ...]
    signature: Entry | None
    is_newest: bool
    has_begun: bool

    @property
    def undecided(self) -> int:
        """Cells that this person has not decided and that have a label."""
        return len(self.labels) - len(self.decided) - self.unidentified

    @property
    def unidentified(self) -> int:
        """Cells without a label."""
        return sum(label is None for label in self.labels.values())


def slide_reading(
    suggested: Labels,
    entries: Sequence[Entry],
    last: SlideResult | None,
    person_id: str | None,
    *,
    is_blind: bool,
) -> SlideReading:
    """A slide as a person sees it.

    Args:
        suggested: the model's label of each cell that the slide has now.
        entries: of the record, of this slide, in order.
        last: the last issued result.
        person_id: None: of nobody.
        is_blind: whether two persons read each slide before it is signed first. Later corrections
            are seen by all.
    """
    undone = {entry.undoes for entry in entries if entry.action is Action.UNDO}
    live = [
        entry
        for entry in entries
        if entry.number not in undone and entry.action not in (Action.UNDO, Action.WRITTEN)
    ]
    signature = next((one for one in reversed(live) if one.action is Action.SIGN), None)
    is_signed = signature is not None or (last is not None and last.verification is not None)
    finishes = [] if is_signed or not is_blind else _finishes(suggested, live)
    if is_signed or not is_blind:
        kind, since, others = Kind.SHARED, 0, dict[str, str | None]()
        fold = _shared(suggested, live, last)
    elif len(finishes) < READERS:
        kind, since, others = Kind.BLIND, 0, {}
        fold = _Fold(suggested)
        fold.apply(entry for entry in live if entry.by.id == person_id)
    else:
        kind, since = Kind.CONSENSUS, max(one.number for one in finishes[:READERS])
        fold, others = _consensus(suggested, live, finishes[:READERS], since, person_id)
    sees_all = kind is not Kind.BLIND
    return SlideReading(
        kind=kind,
        labels=fold.labels,
        deciders=fold.deciders(),
        decided=fold.decided_by(person_id),
        others=others,
        notes=tuple(
            one
            for one in live
            if one.action is Action.NOTE and (sees_all or one.by.id == person_id)
        ),
        undo=_undo(live, person_id, since),
        readers=tuple(one.by for one in finishes),
        signature=signature,
        is_newest=_is_newest(signature, live, last),
        has_begun=any(one.action is Action.DECIDE for one in _since(live, signature)),
    )


@dataclass(frozen=True, slots=True)
class _Finish:
    """A person's finished reading: the entry that completed it, and the labels."""

    number: int
    by: Person
    labels: Labels


class _Fold:
    """Labels after some entries."""

    def __init__(self, labels: Labels) -> None:
        self.labels = dict(labels)
        self._given: dict[str, dict[str, str | None]] = defaultdict(dict)
        self._last: dict[str, Person] = {}

    def apply(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.give(entry.by, {cell.sha256: cell.after for cell in entry.cells})

    def give(self, by: Person, labels: Labels) -> None:
        """A person gives labels; those of cells that the slide no longer has are left out."""
        known = {sha256: label for sha256, label in labels.items() if sha256 in self.labels}
        self.labels.update(known)
        self._given[by.id].update(known)
        self._last.update(dict.fromkeys(known, by))

    def take_back(self, by: Person, cells: Iterable[str]) -> None:
        """The labels stay, and count as not decided by this person."""
        for sha256 in cells:
            self._given[by.id].pop(sha256, None)
            self._last.pop(sha256, None)

    def decided_by(self, person_id: str | None) -> frozenset[str]:
        given = self._given.get(person_id or "", {})
        return frozenset(
            sha256
            for sha256, label in given.items()
            if label is not None and self.labels[sha256] == label
        )

    def deciders(self) -> dict[str, Person]:
        return self._last


def _shared(suggested: Labels, live: Sequence[Entry], last: SlideResult | None) -> _Fold:
    fold = _Fold(suggested)
    verification = last.verification if last else None
    if last is None or verification is None:
        fold.apply(live)
        return fold
    # A verification need not come from this page: what it says counts from then on.
    is_before = _before(live, last)
    fold.apply(entry for entry in live if is_before(entry))
    fold.give(verification.by, {cell.sha256: cell.label for cell in last.cells})
    fold.apply(entry for entry in live if not is_before(entry))
    return fold


def _before(live: Sequence[Entry], last: SlideResult | None) -> Callable[[Entry], bool]:
    """Tells whether an entry was made before what the last result was verified with.

    Clocks do not tell: one that was wrong for a while gives entries of the future, and a
    verification may come from another machine. If the result is of a signature here, the numbers
    tell; else whether the person had seen the result. Who decided between a verification elsewhere
    and its result has to look again at what the two say differently.
    """
    if last is None or last.verification is None:
        return lambda _entry: False
    if (signed := _signature_of(last, live)) is not None:
        number = signed.number
        return lambda entry: entry.number <= number
    revision = last.revision
    return lambda entry: entry.revision < revision


def _signature_of(last: SlideResult, live: Sequence[Entry]) -> Entry | None:
    """The signature that the last result was made of; None if it is another program's."""
    verification = last.verification
    return next(
        (
            one
            for one in live
            if one.action is Action.SIGN
            and verification is not None
            and (one.signed_at, one.by.id) == (verification.at, verification.by.id)
        ),
        None,
    )


def _is_newest(signature: Entry | None, live: Sequence[Entry], last: SlideResult | None) -> bool:
    if signature is None:
        return False
    is_of_last = last is not None and _signature_of(last, live) is signature
    return is_of_last or not _before(live, last)(signature)


def _finishes(suggested: Labels, live: Sequence[Entry]) -> list[_Finish]:
    """The persons whose reading is finished: they said so, and have decided every cell.

    With cells that came later, a reading is finished again when these are decided too.
    """
    folds: dict[str, _Fold] = {}
    said: set[str] = set()
    found: dict[str, _Finish] = {}
    for entry in live:
        key = entry.by.id
        fold = folds.setdefault(key, _Fold(suggested))
        fold.apply([entry])
        if entry.action is Action.FINISH:
            said.add(key)
        if key in said and key not in found and fold.decided_by(key) == suggested.keys():
            found[key] = _Finish(entry.number, entry.by, dict(fold.labels))
    return sorted(found.values(), key=lambda one: one.number)


def _consensus(
    suggested: Labels,
    live: Sequence[Entry],
    readers: Sequence[_Finish],
    since: int,
    person_id: str | None,
) -> tuple[_Fold, dict[str, str | None]]:
    """The labels of two finished readings, and what was decided of them since."""
    first, second = readers
    own, other = (second, first) if person_id == second.by.id else (first, second)
    fold = _Fold(suggested)
    fold.give(own.by, own.labels)
    differ = {sha256 for sha256 in suggested if own.labels[sha256] != other.labels[sha256]}
    agreed = {sha256: label for sha256, label in own.labels.items() if sha256 not in differ}
    # Where the two differ, neither has decided yet.
    fold.take_back(own.by, differ)
    fold.give(other.by, agreed)
    fold.apply(entry for entry in live if entry.number > since)
    return fold, {sha256: other.labels[sha256] for sha256 in sorted(differ)}


def _undo(live: Sequence[Entry], person_id: str | None, since: int) -> int | None:
    for entry in reversed(live):
        if entry.action is Action.SIGN or entry.number <= since:
            return None
        if entry.by.id == person_id:
            return entry.number
    return None


def _since(live: Sequence[Entry], signature: Entry | None) -> Iterable[Entry]:
    return (one for one in live if signature is None or one.number > signature.number)
