"""Agreement of the model and the people, from the last signature of each slide.

The person saw the model's label before deciding, so that this is no independent accuracy of the
model. And cells of one slide are more alike than cells of several: the intervals, which take each
cell for itself, are rather too narrow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from edge.results.document.result import Person
from edge.results.review.audit.period import Period, week_of
from edge.results.review.record.entry import Entry
from edge.results.review.record.record import Record
from edge.results.verification.verification_file import LABELS
from edge.shares.clopper_pearson import clopper_pearson

# In tables, the cells that the model left unidentified.
UNIDENTIFIED: Final = "unidentified"


@dataclass(frozen=True, slots=True)
class Share:
    """So many of a total."""

    count: int
    total: int

    @property
    def percent(self) -> float | None:
        """None of nothing."""
        return 100 * self.count / self.total if self.total else None

    @property
    def limits(self) -> tuple[float, float] | None:
        """Of the 95 % interval in percent (Clopper-Pearson); None of nothing."""
        if not self.total:
            return None
        low, high = clopper_pearson(self.count, self.total)
        return 100 * low, 100 * high


@dataclass(frozen=True, slots=True)
class ClassAgreement:
    """One label.

    Attributes:
        agreed: of the cells that the model gave it, those that the person gave it too.
        became: what the person gave the others.
        found: of the cells that the person gave it, those that the model had given it.
        came_from: what the model had given the others.
    """

    label: str
    agreed: Share
    became: Counter[str]
    found: Share
    came_from: Counter[str]


@dataclass(slots=True)
class Pairs:
    """Cells by the model's label (None: unidentified) and the person's."""

    counts: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    slides: int = 0

    @property
    def cells(self) -> int:
        """All of them."""
        return self.counts.total()

    @property
    def agreed(self) -> Share:
        """Of all cells that the model identified."""
        same = sum(n for (suggested, label), n in self.counts.items() if suggested == label)
        return Share(same, self.cells - self.unidentified.total())

    @property
    def unidentified(self) -> Counter[str]:
        """What became of those that the model left unidentified."""
        return Counter({label: n for (one, label), n in self.counts.items() if one is None})

    def classes(self) -> list[ClassAgreement]:
        """Every label that the model or a person gave, in the order of the classes."""
        found = [self._class(label) for label in LABELS]
        return [one for one in found if one.agreed.total or one.found.total]

    def _class(self, label: str) -> ClassAgreement:
        became = Counter({b: n for (a, b), n in self.counts.items() if a == label})
        came_from = Counter(
            {a or UNIDENTIFIED: n for (a, b), n in self.counts.items() if b == label}
        )
        same = self.counts[label, label]
        agreed, found = Share(same, became.total()), Share(same, came_from.total())
        del became[label], came_from[label]
        return ClassAgreement(label, agreed, became, found, came_from)


@dataclass(slots=True)
class Signer:
    """What one person signed.

    Attributes:
        signatures: all of them, those that a later one replaced, too.
        again: of slides that were signed before.
        corrected: cells whose label is not the model's, or that it left unidentified.
    """

    person: Person
    signatures: int = 0
    again: int = 0
    cells: int = 0
    corrected: int = 0


@dataclass(slots=True)
class Agreement:
    """Agreement over a period.

    Attributes:
        all: of the last signature of each slide, as are `weeks` and `models`.
        weeks: by the week of the signature, in order.
        models: by the SHA-256 of the bundle.
        replaced: signatures that a later one replaced.
        signers: by the person's id.
    """

    all: Pairs = field(default_factory=Pairs)
    weeks: dict[str, Pairs] = field(default_factory=dict)
    models: dict[str, Pairs] = field(default_factory=dict)
    replaced: int = 0
    signers: dict[str, Signer] = field(default_factory=dict)


def agreement_of(
    record: Record, period: Period, told: Callable[[int], None] = lambda _number: None
) -> Agreement:
    """Agreement of the slides whose last signature lies in the period.

    Args:
        told: called with the number of each signature.

    Raises:
        StorageError: the record cannot be read.
    """
    found = Agreement()
    last = record.last_signatures()
    signed: set[str] = set()
    for sign in record.signatures():
        told(sign.number)
        is_again = sign.slide_key in signed
        signed.add(sign.slide_key)
        if sign.at not in period:
            continue
        _count_signer(found, sign, is_again=is_again)
        if last[sign.slide_key][0] == sign.number:
            _count_cells(found, sign)
        else:
            found.replaced += 1
    return found


def is_corrected(suggested: str | None, label: str | None) -> bool:
    """Whether a person gave a label that the model did not."""
    return suggested is None or suggested != label


def _count_signer(found: Agreement, sign: Entry, *, is_again: bool) -> None:
    one = found.signers.setdefault(sign.by.id, Signer(sign.by))
    one.person = sign.by
    one.signatures += 1
    one.again += is_again
    one.cells += len(sign.cells)
    one.corrected += sum(is_corrected(cell.suggested, cell.after) for cell in sign.cells)


def _count_cells(found: Agreement, sign: Entry) -> None:
    week = found.weeks.setdefault(week_of(sign.at), Pairs())
    _add(found.all, ((cell.suggested, str(cell.after)) for cell in sign.cells))
    _add(week, ((cell.suggested, str(cell.after)) for cell in sign.cells))
    for model in sorted({cell.model for cell in sign.cells}):
        cells = (cell for cell in sign.cells if cell.model == model)
        pairs = found.models.setdefault(model, Pairs())
        _add(pairs, ((cell.suggested, str(cell.after)) for cell in cells))


def _add(pairs: Pairs, cells: Iterable[tuple[str | None, str]]) -> None:
    pairs.slides += 1
    pairs.counts.update(cells)
