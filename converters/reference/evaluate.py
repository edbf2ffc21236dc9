"""Accuracy of a bundle on the shared test split, per class and kind of image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from converters.reference.pbc import CLASSES, LabelledFile
from edge.backends.select import open_session
from edge.bundle import load_bundle
from edge.golden import open_labeller
from edge.intervals import Share


@dataclass(slots=True)
class Confusion:
    """Counts of (true class, predicted class)."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def share(self, cell_class: str | None = None) -> Share:
        """Right labels, of all images or of one class."""
        rows = [(pair, n) for pair, n in self.counts.items() if cell_class in (None, pair[0])]
        right = sum(n for (true, predicted), n in rows if true == predicted)
        return Share(right, sum(n for _, n in rows))


def evaluate(
    bundle_path: Path,
    files: list[LabelledFile],
    on_image: Callable[[int, int], None],
) -> dict[tuple[str, str], Confusion]:
    """Label every file in both precisions as the daemon would.

    A cell below the confidence limit counts with its most probable class, so that the figures
    are those of the network.

    Returns:
        A confusion table for each (precision, kind of image).
    """
    bundle = load_bundle(bundle_path)
    labellers = {
        p: open_labeller(bundle, open_session(bundle, precision=p)) for p in ("fp32", "int8")
    }
    found: dict[tuple[str, str], Confusion] = {}
    for position, file in enumerate(files):
        for precision, labeller in labellers.items():
            decision = labeller.label(file.path).decision
            predicted = decision.label if decision else "rejected"
            confusion = found.setdefault((precision, file.kind), Confusion())
            confusion.counts[file.cell_class, predicted] += 1
        on_image(position + 1, len(files))
    return found


def table(found: dict[tuple[str, str], Confusion]) -> str:
    """One block per precision and kind: counts per class, then the errors."""
    blocks = []
    for (precision, kind), confusion in sorted(found.items()):
        lines = [f"{precision}, {kind}: {confusion.share()}"]
        for cell_class in CLASSES:
            share = confusion.share(cell_class)
            wrong = ", ".join(
                f"{n} as {predicted}"
                for (true, predicted), n in sorted(confusion.counts.items())
                if true == cell_class != predicted
            )
            lines.append(f"  {cell_class:13} {share.count:4} of {share.total:4}  {wrong}".rstrip())
        blocks.append("\n".join(lines))
    return "\n".join(blocks)
