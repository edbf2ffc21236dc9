"""An evaluation as text tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from converters.accuracy.statistics import CALIBRATION_BINS
from converters.reference.evaluation.evaluate import ALL_IMAGES, Judgement, Mask
from converters.reference.evaluation.graphs import REFERENCE
from edge.shares.share import Share
from edge.text.counted import counted

_NAME_WIDTH: Final = 14
_COLUMN_WIDTH: Final = 30
# Length of class names in the headings of confusion tables.
_SHORT: Final = 6
# Column for images that could not be read.
_REJECTED: Final = "reject"


def evaluation_text(judgement: Judgement, unidentified_below: float) -> str:
    """Accuracy by class for each group, calibration error, pairs and confusion tables."""
    groups = _shown(judgement.groups())
    blocks = [_accuracy(judgement, name, group) for name, group in groups.items()]
    blocks.append(_confidence(judgement, groups, unidentified_below))
    others = [graph for graph in judgement.answers if graph != REFERENCE]
    if REFERENCE in judgement.answers and others:
        blocks.append(_paired(judgement, groups, others))
    blocks += [
        _confusion(judgement, graph, name, group)
        for name, group in _overall(groups).items()
        for graph in judgement.answers
    ]
    if judgement.rejected:
        blocks.append(_rejected(judgement))
    return "\n\n".join("\n".join(block) for block in blocks)


def _accuracy(judgement: Judgement, name: str, group: Mask) -> list[str]:
    present = sorted(set(judgement.labels[group].tolist()))
    rows: list[tuple[str, int | None]] = [("all classes", None)]
    rows += [(judgement.classes[c], c) for c in present]
    return [
        f"{_titled(name, group)}: right/all, percent (95 % interval)",
        _row("", list(judgement.answers)),
        *(
            _row(title, [_share(judgement.accuracy(g, group, c)) for g in judgement.answers])
            for title, c in rows
        ),
    ]


def _confidence(judgement: Judgement, groups: dict[str, Mask], limit: float) -> list[str]:
    lines = [
        f"calibration error (ECE), percent, over {CALIBRATION_BINS} bins of as many images each",
    ]
    for name, group in _overall(groups).items():
        for graph in judgement.answers:
            error = judgement.calibration_error(graph, group)
            text = _percents(*error) if error else "-"
            sure = judgement.identified(graph, group, limit)
            lines.append(
                f"  {name}, {graph}: {text}; of those with a confidence of {limit} or more right "
                f"{_share(sure)}"
            )
    return lines


def _paired(judgement: Judgement, groups: dict[str, Mask], others: list[str]) -> list[str]:
    lines = [f"paired with {REFERENCE}: on the same images, McNemar's exact p"]
    for name, group in _overall(groups).items():
        for graph in others:
            pair = judgement.paired(REFERENCE, graph, group)
            lines.append(
                f"  {name}, {graph}: both right {pair.both}, lost {pair.lost}, won {pair.won}, "
                f"neither {pair.neither}, p = {pair.p_value:.2g}"
            )
    return lines


def _confusion(judgement: Judgement, graph: str, name: str, group: Mask) -> list[str]:
    heads = [*judgement.classes, *([_REJECTED] if judgement.rejected else [])]
    table = judgement.confusion(graph, group)
    return [
        f"confusion, {graph}, {name}: true classes down, predicted ones across",
        " " * _NAME_WIDTH + "".join(f"{head[:_SHORT]:>{_SHORT + 1}}" for head in heads),
        *(
            f"  {true:{_NAME_WIDTH - 2}}" + "".join(_cells(row[: len(heads)]))
            for true, row in zip(judgement.classes, table, strict=True)
            if any(row)
        ),
    ]


def _rejected(judgement: Judgement) -> list[str]:
    named = (f"  {judgement.files[i].path}: {why}" for i, why in judgement.rejected.items())
    return [
        f"rejected, counted as wrong: {len(judgement.rejected)}",
        *named,
    ]


def _shown(groups: dict[str, Mask]) -> dict[str, Mask]:
    """Groups by kind and capture, then all images; a group of all images is not repeated.

    All images come last: if they include smoothed copies of native images, the sum of these kinds
    says least.
    """
    others = {name: group for name, group in groups.items() if name != ALL_IMAGES}
    same = [name for name, group in others.items() if group.all()]
    title = f"{ALL_IMAGES} ({', '.join(same)})" if same else ALL_IMAGES
    parts = {name: group for name, group in others.items() if name not in same}
    return {**parts, title: groups[ALL_IMAGES]}


def _overall(groups: dict[str, Mask]) -> dict[str, Mask]:
    """All images and each kind, without captures, for which only the accuracy is shown."""
    return {n: g for n, g in groups.items() if n.startswith((ALL_IMAGES, "kind "))}


def _titled(name: str, group: Mask) -> str:
    return f"{name}, {counted(int(group.sum()), 'image')}"


def _row(title: str, cells: list[str]) -> str:
    line = f"  {title:{_NAME_WIDTH}}" + "".join(f"{cell:{_COLUMN_WIDTH}}" for cell in cells)
    return line.rstrip()


def _cells(counts: list[int]) -> Iterator[str]:
    return (f"{count or '.':>{_SHORT + 1}}" for count in counts)


def _share(share: Share) -> str:
    return f"{share.count}/{share.total} {_percents(share.rate, *share.interval)}"


def _percents(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})"
