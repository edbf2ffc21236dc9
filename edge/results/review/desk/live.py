"""A slide's differential with the labels that stand, in the form of the page's API."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edge.results.differential.bundle_errors import errors_of_slide, read_bundle_errors
from edge.results.differential.differential import differential
from edge.results.document.result import (
    NOT_COUNTED,
    Differential,
    Flag,
    Interval,
    Person,
    ResultCell,
    SlideResult,
)
from edge.results.review.view.slide_reading import SlideReading
from edge.results.settings.slide_config import SlideConfig
from edge.results.slides.revision import preliminary
from edge.results.slides.slide import Slide, unseen_cells


class Live:
    """Computes differentials; `of` may be called in any thread."""

    def __init__(self, config: SlideConfig) -> None:
        """Read the bundles, every byte of which is checked.

        Raises:
            EdgeError: one cannot be used, so that there would be no differential to sign.
        """
        self._limits = config.limits
        self._bundles = [read_bundle_errors(path) for path in config.bundles]

    def of(
        self,
        slide: Slide,
        reading: SlideReading,
        last: SlideResult | None,
        signer: Person | None = None,
    ) -> dict[str, Any]:
        """The differential, with the digest of all that it says; takes up to 0.2 s.

        Args:
            last: the last issued result.
            signer: who has decided every cell; None: cells count as known that somebody decided.
        """
        cells = _cells(slide, reading, signer)
        draft = preliminary(slide, last)
        found = differential(
            cells,
            rejected=len(draft.rejected_images),
            seed=slide.key,
            wbc=draft.wbc,
            errors=errors_of_slide(slide.cells(), self._bundles),
            limits=self._limits,
        )
        counts = Counter(cell.label for cell in cells)
        shown = {**differential_json(found), "not_counted": {n: counts[n] for n in NOT_COUNTED}}
        return {**shown, "digest": _digest(shown)}


def differential_json(found: Differential) -> dict[str, Any]:
    """A differential as the page takes it; intervals are pairs of limits."""
    nucleated = found.erythroblasts
    return {
        "leukocytes": found.leukocytes,
        "classes": [
            {
                "name": one.name,
                "count": one.count,
                "percent": one.percent,
                "share": one.share,
                "sampling": _pair(one.sampling),
                "with_errors": _pair(one.with_errors),
                "absolute": one.absolute,
            }
            for one in found.classes
        ],
        "erythroblasts": {
            "count": nucleated.count,
            "per_100_wbc": nucleated.per_100_wbc,
            "sampling": _pair(nucleated.sampling),
            "with_errors": _pair(nucleated.with_errors),
        },
        "platelets": found.platelets,
        "unidentified": found.unidentified,
        "rejected": found.rejected,
        "wbc": found.wbc,
        "errors_from": found.errors_from,
        "flags": flags_json(found.flags),
    }


def flags_json(flags: Sequence[Flag]) -> list[dict[str, str]]:
    """Flags as the page takes them."""
    return [{"code": str(flag.code), "text": flag.text} for flag in flags]


def _cells(slide: Slide, reading: SlideReading, signer: Person | None) -> tuple[ResultCell, ...]:
    def seen(cell: ResultCell) -> ResultCell:
        decider = signer or reading.deciders.get(cell.sha256)
        return replace(
            cell,
            label=reading.labels[cell.sha256],
            reviewed_by=decider.id if decider else None,
        )

    return tuple(seen(cell) for cell in unseen_cells(slide.cells()))


def _digest(shown: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def _pair(interval: Interval | None) -> tuple[float, float] | None:
    return (interval.low, interval.high) if interval else None
