"""What the review page asks and does; from top to bottom it is one slide's way to a signature.

A slide is seen through the last look at the folders, the last issued result, and the entries of the
record. Decisions are appended to the record and are durable before they are answered; a signature
becomes a verification file, from which `edge-results send` issues the final result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from edge.errors import ConfigError, EdgeError, StorageError, first_line
from edge.results.document.result import Person
from edge.results.issued.issued import Issued
from edge.results.review.desk.decisions import decision_draft, touched_cells
from edge.results.review.desk.live import Live
from edge.results.review.desk.requests import Sign, read_entry, read_sign
from edge.results.review.desk.signing import require_ready, signature_draft, write_signature
from edge.results.review.desk.views import (
    FINISHED,
    entered_json,
    opened_json,
    report_json,
    signature_json,
    slide_json,
)
from edge.results.review.errors import ChangedError
from edge.results.review.images.image_files import ImageFiles
from edge.results.review.images.reference import Reference
from edge.results.review.record.entry import Entry
from edge.results.review.record.record import Record
from edge.results.review.refusal import Refusal, RefusalCode
from edge.results.review.view.looks import Look, Looks
from edge.results.review.view.view import Slides, View
from edge.results.settings.review_config import ReviewConfig
from edge.results.settings.slide_config import VERIFICATIONS, SlideConfig
from edge.sidecar import now

# Finished slides that the list shows at most, the newest.
_MOST_FINISHED: Final = 500
# Another process may append between a look at the record and an entry.
_ATTEMPTS: Final = 3


class Desk:
    """The slides of one configuration. Used by one thread, but for what says otherwise.

    Every method may raise StorageError, and Refusal for what cannot be had.

    Attributes:
        images: reads images, from any thread.
        reference: reads reference cells.
    """

    def __init__(
        self,
        slides: SlideConfig,
        review: ReviewConfig,
        record: Record,
        issued: Issued,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verifications = slides.verifications or issued.path.parent / VERIFICATIONS
        self._record = record
        self._looks = Looks(slides, issued, clock=clock)
        self._slides = Slides(self._looks, issued, record, is_blind=review.is_blind)
        self._live = Live(slides)
        self._is_unwritten = False
        self._opened = ExitStack()
        self.images = ImageFiles(slides, lambda: self._looks.last)
        self.reference = Reference(review.reference)

    @classmethod
    def open(
        cls,
        slides: SlideConfig,
        review: ReviewConfig,
        state: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Open record and issued results, and write what a killed process has not.

        Args:
            state: the folder of the issued results; made if it is not there.
            clock: in seconds; the folders are looked at again when it has gone on.
        """
        with ExitStack() as opened:
            issued = opened.enter_context(Issued.open(state))
            record = opened.enter_context(Record.open(state))
            desk = cls(slides, review, record, issued, clock)
            desk.write_open_signatures()
            # A page that stayed open over a restart asks for images first. Whoever asks for the
            # list is told what is wrong.
            with suppress(EdgeError):
                desk._looks.look()
            desk._opened = opened.pop_all()
        return desk

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._opened.close()

    def slides(self, person: Person | None) -> dict[str, Any]:
        """All slides, and what belongs to none."""
        look = self._look()
        rows = [slide_json(self._slides.view(look, key, person)) for key in look.standings]
        finished = sorted(
            (row for row in rows if row["stage"] in FINISHED), key=lambda row: str(row["newest"])
        )
        hidden = {row["key"] for row in finished[:-_MOST_FINISHED]}
        found = report_json(look)
        if hidden:
            text = f"{len(hidden)} older finished slides are not listed; edge-results show does"
            found["notes"].append(text)
        return {"slides": [row for row in rows if row["key"] not in hidden], **found}

    def slide(self, person: Person | None, key: str) -> dict[str, Any]:
        """One slide with its cells."""
        return opened_json(self._slides.view(self._look(), key, person))

    def entry(self, key: str) -> dict[str, Any]:
        """The numbers by which a page sees that somebody else has changed the slide."""
        last = self._slides.last(key)
        return {
            "entry": self._record.last_number(key),
            "revision": last.revision if last else 0,
        }

    def differential_job(self, person: Person | None, key: str) -> Callable[[], dict[str, Any]]:
        """A call that computes the differential; it may run in another thread."""
        view = self._slides.view(self._looks.last, key, person)

        def compute() -> dict[str, Any]:
            found = self._live.of(view.standing.slide, view.reading, view.last)
            return {"entry": view.entry, **found}

        return compute

    def decide(self, person: Person, login: str, key: str, body: Any) -> dict[str, Any]:
        """Append a decision, an undo, a note, or the end of a blind reading."""
        wanted = read_entry(body)
        for _ in range(_ATTEMPTS):
            view = self._slides.view(self._looks.last, key, person)
            previous = None
            if view.recorded(wanted.request) is None:
                draft = decision_draft(view, wanted, person, login, self._slides.without)
                try:
                    if draft is not None:
                        self._record.append(draft, view.entry)
                        previous = view.entry
                except ChangedError:
                    continue
                except ConfigError as error:
                    # No later try helps, so that the page must not go on trying.
                    raise Refusal(RefusalCode.NOT_READY, first_line(error)) from error
            after = self._slides.view(self._looks.last, key, person)
            return entered_json(after, touched_cells(after, wanted), previous)
        raise Refusal(RefusalCode.CHANGED, "somebody else works on this slide; look at it again")

    def sign(self, person: Person, login: str, key: str, body: Any) -> dict[str, Any]:
        """Append a signature and write its verification file."""
        wanted = read_sign(body)
        view = self._slides.view(self._looks.look(is_urgent=True), key, person)
        entry = view.recorded(wanted.request)
        if entry is None:
            if (view.entry, view.revision) != (wanted.entry, wanted.revision):
                text = "the slide has changed since it was shown; look at it again, then sign"
                raise Refusal(RefusalCode.CHANGED, text)
            require_ready(view, wanted.reason, self.images)
            entry = self._append_signature(view, person, login, wanted)
        # It stands in the record now: what goes wrong from here on is told with the slide.
        self._try_to_write()
        with suppress(StorageError):
            self._looks.look(is_urgent=True)
        after = self._slides.view(self._looks.last, key, person)
        return {"signature": signature_json(entry), "slide": slide_json(after)}

    def _look(self) -> Look:
        if self._is_unwritten:
            self._try_to_write()
        return self._looks.look()

    def write_open_signatures(self) -> None:
        """Write the verification files of all signatures whose file is not there yet."""
        for entry in self._record.open_signatures():
            write_signature(self._record, entry, self._verifications)

    def _try_to_write(self) -> None:
        """Write open signatures if the disk lets it; else it is tried at the next look."""
        self._is_unwritten = True
        with suppress(StorageError):
            self.write_open_signatures()
            self._is_unwritten = False

    def _append_signature(self, view: View, person: Person, login: str, wanted: Sign) -> Entry:
        slide, reading = view.standing.slide, view.reading
        counts = self._live.of(slide, reading, view.last, person)
        if counts.pop("digest") != wanted.shown:
            text = "the differential is not the one that was shown; look at it again, then sign"
            raise Refusal(RefusalCode.CHANGED, text)
        try:
            draft = signature_draft(
                view,
                request=wanted.request,
                by=person,
                login=login,
                at=now(),
                reason=wanted.reason,
                counts=counts,
            )
            return self._record.append(draft, view.entry)
        except ChangedError as error:
            text = "somebody else changed the slide just now; look at it again, then sign"
            raise Refusal(RefusalCode.CHANGED, text) from error
        except ConfigError as error:
            # No later try helps, so that the page must not go on trying.
            raise Refusal(RefusalCode.NOT_READY, first_line(error)) from error
