"""Each slide as one person sees it: from the folders, the issued results and the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.results.document.result import Person, SlideResult
from edge.results.issued.issued import Issued
from edge.results.review.record.entry import Action, Entry
from edge.results.review.record.record import Record
from edge.results.review.refusal import Refusal, RefusalCode
from edge.results.review.view.looks import Look, Looks, Standing
from edge.results.review.view.readiness import Problem, problems_of
from edge.results.review.view.slide_cells import SlideCells
from edge.results.review.view.slide_reading import SlideReading, slide_reading
from edge.results.slides.slide import Slide


@dataclass(frozen=True, slots=True)
class View:
    """One slide as one person sees it.

    Attributes:
        entries: of the record, of this slide.
        person: None if nobody has signed in.
    """

    standing: Standing
    cells: SlideCells
    reading: SlideReading
    last: SlideResult | None
    entries: Sequence[Entry]
    person: Person | None

    @property
    def key(self) -> str:
        """Of the slide."""
        return self.cells.key

    @property
    def revision(self) -> int:
        """The last issued one; 0 if none was."""
        return self.last.revision if self.last else 0

    @property
    def entry(self) -> int:
        """Number of the slide's last entry; 0 if it has none."""
        return self.entries[-1].number if self.entries else 0

    @property
    def needs_reason(self) -> bool:
        """Whether a signature corrects one before."""
        is_verified = self.last is not None and self.last.verification is not None
        return self.reading.signature is not None or is_verified

    def problems(self) -> list[Problem]:
        """Why the person cannot sign it now."""
        person_id = self.person.id if self.person else None
        return problems_of(self.standing, self.reading, self.last, person_id)

    @property
    def is_written(self) -> bool:
        """Whether the last signature has its verification file, or there is no signature."""
        signature = self.reading.signature
        return signature is None or any(
            one.action is Action.WRITTEN and one.undoes == signature.number for one in self.entries
        )

    def recorded(self, request: str) -> Entry | None:
        """The entry of a request that was sent before."""
        return next((one for one in self.entries if one.request == request), None)


class Slides:
    """Makes the views; keeps what it has read of the last results and of the record."""

    def __init__(self, looks: Looks, issued: Issued, record: Record, *, is_blind: bool) -> None:
        self.looks = looks
        self._issued = issued
        self._record = record
        self._is_blind = is_blind
        self._entries: dict[str, list[Entry]] = {}
        self._cells: dict[str, SlideCells] = {}
        self._lasts: dict[str, tuple[int, SlideResult | None]] = {}

    def view(self, look: Look, key: str, person: Person | None) -> View:
        """A slide as a person sees it.

        Raises:
            Refusal: there is none with this key.
            StorageError: record or issued results cannot be read.
        """
        standing = look.standings.get(key)
        if standing is None:
            # A page that stayed open over a restart asks before anything was looked at.
            standing = self.looks.look().standings.get(key)
        if standing is None:
            raise Refusal(RefusalCode.UNKNOWN, "no slide here has this key; load the list again")
        return self._view(standing, self.entries(key), person)

    def without(self, view: View, number: int) -> SlideReading:
        """The slide as if the person had not made that entry."""
        entries = [one for one in view.entries if one.number != number]
        return self._view(view.standing, entries, view.person).reading

    def entries(self, key: str) -> Sequence[Entry]:
        """The entries of a slide."""
        known = self._entries.get(key, [])
        last = known[-1].number if known else 0
        if self._record.last_number(key) != last:
            known = self._entries[key] = [*known, *self._record.of_slide(key, last)]
        return known

    def last(self, key: str) -> SlideResult | None:
        """The last issued result of a slide."""
        number = self._issued.number_of(key)
        known = self._lasts.get(key)
        if known is None or known[0] != number:
            known = self._lasts[key] = number, self._issued.last(key)
        return known[1]

    def _view(self, standing: Standing, entries: Sequence[Entry], person: Person | None) -> View:
        cells = self._cells_of(standing.slide)
        last = self.last(cells.key)
        reading = slide_reading(
            cells.suggested,
            entries,
            last,
            person.id if person else None,
            is_blind=self._is_blind,
        )
        return View(standing, cells, reading, last, entries, person)

    def _cells_of(self, slide: Slide) -> SlideCells:
        known = self._cells.get(key := slide.key)
        if known is None or known.slide is not slide:
            known = self._cells[key] = SlideCells.of(slide)
        return known
