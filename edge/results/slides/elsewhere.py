"""Whether cells of a slide are in an issued result of another one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from edge.results.document.result import SlideResult
from edge.results.slides.history import History
from edge.results.slides.slide import Slide
from edge.results.verification.verification_file import VerificationFile
from edge.text.counted import counted


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The last result of another slide that has cells of this one.

    Attributes:
        shared: cells that both have.
    """

    result: SlideResult
    shared: int

    def problem(self, last: SlideResult | None, word: VerificationFile | None) -> str | None:
        """Why the slide is held, in one line without ids; a person's later word ends that.

        Args:
            last: the slide's own last result.
            word: the verification of it that can be used.
        """
        if word is not None and (last is None or word.at > self.result.completed):
            return None
        if self.shared == len(self.result.cells):
            return "its cells were issued under another id; withdraw that result, then verify this"
        cells = counted(self.shared, "cell")
        return f"it has {cells} of a result with another id; correct that one, then verify this"


def has_moved(result: SlideResult, slides: Iterable[Slide]) -> bool:
    """Whether all cells of a result are in these slides now, as after its id was corrected."""
    there = {cell.sha256 for slide in slides for cell in slide.cells()}
    return bool(result.cells) and all(cell.sha256 in there for cell in result.cells)


def alike_issued(history: History, slide: Slide) -> list[str]:
    """Issued sample ids that a LIS may take for a slide's, but for wrong ones of the same cells.

    Of those that were corrected `issued_elsewhere` finds the result.
    """
    return [
        sample_id
        for sample_id in history.alike_samples(slide.sample_id)
        if not all(
            has_moved(last, [slide])
            for key in history.slides_of(sample_id)
            if (last := history.last(key))
        )
    ]


def issued_elsewhere(
    slide: Slide,
    last: SlideResult | None,
    history: History,
    lasts: Mapping[str, SlideResult | None],
    lost: Mapping[str, Collection[str]],
) -> Elsewhere | None:
    """The newest result of another slide that has cells of this one, and that no one has answered.

    The slide's own last result answers one that was issued before it, for the cells that it has.

    Args:
        lasts: the last results of the slides that one looks at, by their keys.
        lost: which of these slides had a cell in its last result that it has no more, by the cell.
    """
    cells = {cell.sha256 for cell in slide.cells() if cell.sha256}
    keys = {key for sha256 in cells & lost.keys() for key in lost[sha256]}
    keys.update(history.slides_with(cells))
    own = {cell.sha256 for cell in last.cells} if last else set()
    found = []
    for key in keys - {slide.key}:
        other = lasts[key] if key in lasts else history.last(key)
        shared = cells & {cell.sha256 for cell in other.cells} if other else set()
        is_later = last is None or history.number_of(key) > history.number_of(slide.key)
        if other and shared and (is_later or shared - own):
            found.append(Elsewhere(other, len(shared)))
    return max(found, key=lambda one: (one.result.completed, one.result.result_id), default=None)
