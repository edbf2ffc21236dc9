"""From cells to the results of slides."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from edge.results.differential.differential import differential
from edge.results.differential.errors import UNKNOWN_ERRORS, ModelErrors
from edge.results.differential.limits import Limits
from edge.results.document.ids import alike_form
from edge.results.document.result import SlideResult
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.slides.completeness import Completeness, waits_for_more_late_cells
from edge.results.slides.elsewhere import alike_issued, has_moved, issued_elsewhere
from edge.results.slides.grouping import LIKE_ANOTHER, Gathered, gather, manifest_notes
from edge.results.slides.history import History
from edge.results.slides.outcome import Held, Incomplete, Note, SlideReport
from edge.results.slides.resolvers import Resolvers
from edge.results.slides.revision import (
    Draft,
    changes_last,
    next_step,
    numbered,
    preliminary,
)
from edge.results.slides.settled import Settled
from edge.results.slides.signing import signing_of
from edge.results.slides.slide import Slide, unseen_cells
from edge.results.slides.unanswered import unanswered
from edge.results.verification.folder import read_verifications
from edge.results.verification.verification_file import VerificationFile
from edge.text.counted import counted

# Sampling alone: it is made at every look, and the other intervals take longer.
_SO_FAR: Final = ModelErrors(missing="none: the slide is not complete")


@dataclass(frozen=True, slots=True)
class SlideRules:
    """How cells become results.

    Attributes:
        verifications: folder of verification files; None if there are none.
        errors: what is known of the model's errors on these cells.
        limits: of the flags.
        takes_several_slides: whether the LIS keeps more than one differential of a sample. Most
            keep one, in which a second slide would replace or lose the first without a word.
    """

    completeness: Completeness = field(default_factory=Completeness)
    verifications: Path | None = None
    errors: Callable[[Sequence[SidecarCell]], ModelErrors] = lambda _cells: UNKNOWN_ERRORS
    limits: Limits = field(default_factory=Limits)
    takes_several_slides: bool = False


def slide_results(
    cells: Iterable[SidecarCell],
    resolvers: Resolvers,
    *,
    rules: SlideRules,
    history: History,
    now: datetime,
    unread: Iterable[Path] = (),
    settled: Settled | None = None,
) -> SlideReport:
    """The next results of all slides, and what must not leave, with its reason.

    The same cells, files and time give the same report. Nothing is written: who sends the new
    results adds each to the history first.

    Args:
        now: with time zone.
        unread: sidecars that could not be read; a slide in whose folder one lies is not complete.
        settled: of the look before, kept for the next one. Slides that have stayed as they were
            then are passed over: the report has neither their standing results nor their notes.

    Raises:
        StorageError: the history or the folder of verifications cannot be read.
    """
    gathered = gather(cells, resolvers, alike_issued=partial(alike_issued, history), now=now)
    report = _Report(
        rules, history, now, Counter(folder for path in unread for folder in path.parents)
    )
    report.note_samples(gathered)
    settled = settled or Settled()
    settled.begin(rules.verifications, {slide.key for slide in gathered.slides})
    slides = [
        slide
        for slide in gathered.slides
        if slide.key in gathered.problems or not settled.has(slide) or report.unread_of(slide)
    ]
    signings = report.read_signings(slides)
    report.read_history(slides)
    for slide in slides:
        is_settled = report.add(slide, gathered.problems.get(slide.key), signings[slide.key])
        settled.note(slide, is_settled=is_settled and slide.key not in report.unreadable)
    report.notes += manifest_notes(gathered, resolvers)
    return SlideReport(
        tuple(report.new),
        tuple(report.standing),
        tuple(report.incomplete),
        tuple(report.held),
        tuple(gathered.unidentified),
        tuple(report.notes),
        tuple(gathered.slides),
    )


class _Report:
    """Collects what becomes of each slide."""

    def __init__(
        self, rules: SlideRules, history: History, now: datetime, unread: Counter[Path]
    ) -> None:
        self._rules = rules
        self._history = history
        self._now = now
        self._unread = unread
        self._slides_of: dict[str, dict[str, Slide]] = defaultdict(dict)
        self._lasts: dict[str, SlideResult | None] = {}
        self._lost: dict[str, set[str]] = defaultdict(set)
        self.new: list[SlideResult] = []
        self.standing: list[SlideResult] = []
        self.incomplete: list[Incomplete] = []
        self.held: list[Held] = []
        self.notes: list[Note] = []
        # Slides whose verification must be read again at the next look.
        self.unreadable: set[str | None] = set()

    def note_samples(self, gathered: Gathered) -> None:
        """Note which slides each sample has."""
        for slide in gathered.slides:
            self._slides_of[slide.sample_id][slide.key] = slide

    def read_history(self, slides: Iterable[Slide]) -> None:
        """Read the last results of slides, and note which cells of these they have no more."""
        for slide in slides:
            last = self._lasts[slide.key] = self._history.last(slide.key)
            there = {cell.sha256 for cell in slide.cells()}
            for cell in last.cells if last else ():
                if cell.sha256 not in there:
                    self._lost[cell.sha256].add(slide.key)

    def read_signings(self, slides: Sequence[Slide]) -> dict[str, list[VerificationFile]]:
        """The verifications by slide; those that cannot be read are held."""
        found: dict[str, list[VerificationFile]] = defaultdict(list)
        if self._rules.verifications is not None:
            keys = {slide.key for slide in slides}
            read, unusable = read_verifications(
                self._rules.verifications, keys, is_known=self._is_known
            )
            for one in read:
                found[one.slide_key].append(one)
            self.unreadable = {one.slide_key for one in unusable}
            self.held += [
                Held(None, None, 0, f"a verification file: {one.reason}", one.path.name)
                for one in unusable
            ]
        return found

    def _is_known(self, slide_key: str) -> bool:
        is_here = any(slide_key in keys for keys in self._slides_of.values())
        return is_here or self._history.last(slide_key) is not None

    def add(
        self, slide: Slide, problem: str | None, verifications: Sequence[VerificationFile]
    ) -> bool:
        """Decide about one slide; returns whether its last result stands and nothing is open."""
        last = self._lasts[slide.key]
        moved = issued_elsewhere(slide, last, self._history, self._lasts, self._lost)
        is_back = moved is not None
        signing = signing_of(
            *(verifications, unseen_cells(slide.cells()), last, self._now),
            changes=partial(changes_last, slide, last, is_back=is_back),
        )
        other_id = moved.problem(last, signing.usable) if moved and not problem else None
        problem = problem or other_id
        problem = problem or self._is_alike(slide, last) or self._is_one_of(slide, last)
        waits = None if problem else self._waits_for(slide)
        if problem or waits:
            if last:
                self.standing.append(last)
            if waits:
                so_far = self._result(preliminary(slide, last), last, slide, _SO_FAR)
                self.incomplete.append(Incomplete(so_far, waits))
            else:
                self._hold(slide, problem or "", asks_to_verify=other_id is not None)
            words = unanswered(verifications, last, None, self._history)
            self._hold(slide, *words, asks_to_verify=True)
            return False
        step = next_step(slide, last, signing, is_back=is_back)
        self.notes += [
            Note(slide.sample_id, slide.slide_id, n) for n in [*slide.notes(), *step.notes]
        ]
        words = unanswered(verifications, last, step.draft, self._history)
        held = dict.fromkeys([*filter(None, [step.problem]), *words])
        self._hold(slide, *held, asks_to_verify=True)
        if step.draft and last and not step.draft.signed and self._is_early(slide):
            so_far = self._result(step.draft, last, slide, _SO_FAR)
            self.incomplete.append(Incomplete(so_far, "late cells are still coming"))
            self.standing.append(last)
        elif step.draft:
            errors = self._rules.errors(slide.cells())
            self.new.append(self._result(step.draft, last, slide, errors))
        elif last:
            self.standing.append(last)
        return last is not None and step.draft is None and not held

    def _is_early(self, slide: Slide) -> bool:
        return waits_for_more_late_cells(slide, self._now)

    def _hold(self, slide: Slide, *reasons: str, asks_to_verify: bool = False) -> None:
        ids = slide.sample_id, slide.slide_id
        self.held += [
            Held(*ids, len(slide.images), reason, asks_to_verify=asks_to_verify)
            for reason in reasons
        ]

    def _is_alike(self, slide: Slide, last: SlideResult | None) -> str | None:
        """Why a slide is held whose id a LIS may take for that of an issued one."""
        if last is not None:
            return None
        form = alike_form(slide.slide_id or "")
        others = map(self._history.last, self._history.slides_of(slide.sample_id))
        alike = [one for one in others if one and alike_form(one.slide_id or "") == form]
        if not all(has_moved(one, [slide]) for one in alike):
            return f"a LIS may take its slide id for an issued one; it is {LIKE_ANOTHER}"
        return None

    def _is_one_of(self, slide: Slide, last: SlideResult | None) -> str | None:
        """Why a slide is held whose sample has others; the one that was issued goes on."""
        if self._rules.takes_several_slides or last is not None:
            return None
        here = self._slides_of[slide.sample_id]
        before = set(self._history.slides_of(slide.sample_id)) - here.keys()
        gone = map(self._history.last, before)
        slides = len(here) + sum(not has_moved(one, here.values()) for one in gone if one)
        if slides == 1:
            return None
        return f"its sample has {slides} slides, and a LIS keeps one differential of a sample"

    def unread_of(self, slide: Slide) -> int:
        """How many sidecars of its folder cannot be read."""
        if not self._unread:
            return 0
        return max(self._unread[folder] for folder in slide.sidecar_folders)

    def _waits_for(self, slide: Slide) -> str | None:
        is_said = self._history.said_complete(slide.key) is not None
        if is_said:
            return None
        if unread := self.unread_of(slide):
            return f"{counted(unread, 'sidecar')} of its folder that cannot be read"
        return self._rules.completeness.waits_for(slide, self._now)

    def _result(
        self, draft: Draft, last: SlideResult | None, slide: Slide, errors: ModelErrors
    ) -> SlideResult:
        counts = differential(
            draft.cells,
            rejected=len(draft.rejected_images),
            seed=slide.key,
            wbc=draft.wbc,
            errors=errors,
            limits=self._rules.limits,
        )
        return numbered(draft, last, slide, counts)
