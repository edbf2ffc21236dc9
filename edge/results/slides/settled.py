"""The slides about which a further look need not decide again."""

from __future__ import annotations

from collections.abc import Set  # noqa: PYI025
from dataclasses import dataclass, replace
from pathlib import Path

from edge.results.slides.slide import Slide
from edge.results.verification.folder import Stamp, VerificationStamps, verification_stamps


@dataclass(frozen=True, slots=True)
class _Basis:
    """What it was decided on that a slide's last result stands."""

    slide: Slide
    verifications: frozenset[Stamp]


class Settled:
    """Slides whose last issued result stands, kept from one look to the next.

    Such a slide needs no decision while its images, its rows of manifests and its verifications are
    the same. Time, a marker file and an operator's word change nothing of it: they complete slides
    that wait. What another slide may change of it (alike ids, shared images) is found before, for
    all slides. A result that another process issued is not seen: the caller clears it then.
    """

    def __init__(self) -> None:
        self._bases: dict[str, _Basis] = {}
        self._stamps = VerificationStamps()

    def begin(self, verifications: Path | None, slide_keys: Set[str]) -> None:
        """Begin a look: see which verifications there are of these slides.

        A slide that is not among them is forgotten: what its cells were meanwhile is to be seen.

        Raises:
            StorageError: their folder cannot be read.
        """
        stamps = VerificationStamps()
        if verifications is not None:
            stamps = verification_stamps(verifications, slide_keys)
        if stamps.others != self._stamps.others:
            # Only reading such a file tells its slide.
            self.clear()
        self._stamps = stamps
        for key in self._bases.keys() - slide_keys:
            del self._bases[key]

    def verifications_have_changed(self) -> bool:
        """Whether a verification that the last look saw was edited or is gone."""
        return self._stamps.have_changed()

    def has(self, slide: Slide) -> bool:
        """Whether a slide is as it was when its last result stood."""
        return self._bases.get(slide.key) == self._basis(slide)

    def note(self, slide: Slide, *, is_settled: bool) -> None:
        """Note what was decided about a slide at this look."""
        if is_settled:
            # Names of all slides' images would be kept of each look.
            self._bases[slide.key] = self._basis(replace(slide, files={}))
        else:
            self._bases.pop(slide.key, None)

    def clear(self) -> None:
        """Have the next look decide about all slides."""
        self._bases.clear()

    def _basis(self, slide: Slide) -> _Basis:
        return _Basis(slide, self._stamps.by_slide.get(slide.key, frozenset()))
