"""Slides as a laboratory has them, drawn from a seed: realistic mixes, late cells, corrections.

The arithmetic of the intervals is a stand-in: a format carries them, whatever they are.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from edge.results.document.result import (
    CELL_CLASSES,
    LEUKOCYTES,
    NOT_COUNTED,
    ClassResult,
    Differential,
    Erythroblasts,
    Flag,
    FlagCode,
    Interval,
    ModelIdentity,
    Person,
    ResultCell,
    SlideResult,
    State,
    Verification,
)

# Weights in the order of `CELL_CLASSES`: neutrophil, eosinophil, basophil, lymphocyte, monocyte,
# ig, erythroblast, platelet.
MIXES: Final = {
    "normal": (58, 3, 0.6, 30, 7, 0.3, 0.1, 4),
    "bacterial": (82, 0.5, 0.1, 8, 5, 4, 0.5, 3),
    "viral": (28, 2, 0.4, 60, 9, 0.3, 0.1, 4),
    "allergy": (45, 22, 1, 25, 6, 0.2, 0.1, 4),
    "leukaemoid": (60, 3, 4, 8, 5, 18, 2, 4),
    "newborn": (50, 3, 0.5, 30, 10, 3, 15, 4),
    "lymphocytic": (9, 0.4, 0.1, 88, 2, 0.1, 0.1, 2),
    "one class": (100, 0, 0, 0, 0, 0, 0, 0),
}
PEOPLE: Final = (
    Person("mmeier", "Maria Meier"),
    Person("jm", "Jürgen Müller-Lüdenscheidt"),
    Person("łk", "Łukasz Kowalski"),
    Person("0042", "陳 怡君"),
    Person("o.brien", "Aoife O'Brien"),
)
NOTES: Final = (
    "",
    "",
    "repeat smear",
    "Zellen & Färbung ~ ok | siehe ^ Akte \\ 7",
    'said "ok", twice',
)
MODELS: Final = (
    ModelIdentity("cells8", "1.0.0", "ab" * 32),
    ModelIdentity("cells8", "1.1.0", "cd" * 32),
)
ZONES: Final = (UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-3, minutes=-30)))
_START: Final = datetime(2026, 3, 1, 6, tzinfo=UTC)


def simulated_results(count: int, seed: int) -> Iterator[SlideResult]:
    """All revisions of `count` slides, those of a slide one after the other.

    Each slide has leukocytes and a sample id that every format can carry. Names, notes, folders and
    slide ids have any letter.
    """
    for number in range(count):
        # Not for secrets: the same slides on every run.
        yield from simulated_slide(number, random.Random(f"{seed}/{number}"))  # noqa: S311


def simulated_slide(number: int, draw: random.Random) -> tuple[SlideResult, ...]:
    """The revisions of one slide: first cells, perhaps late ones, a verdict, a correction."""
    sample_id = draw.choice(("S{:06}", "{:08}", "26-{:06}", "LAB.{:05}", "A{:04}/1"))
    folder = draw.choice(("2026-03-01", "Straße 7", "export/標本"))
    wanted = draw.choice((30, 100, 100, 200, 200, 400))
    cells = _draw_cells(draw, f"{folder}/{number:05}", wanted)
    first = SlideResult(
        sample_id=sample_id.format(number),
        slide_id=draw.choice((None, "slide-1", "Ausstrich 2 (Kontrolle)")),
        state=State.PRELIMINARY,
        revision=1,
        completed=_some_time(draw, number),
        differential=differential_of(cells, rejected=0, wbc=None),
        cells=cells,
        rejected_images=(),
        models=MODELS[:1],
    )
    wbc = round(draw.uniform(0.4, 60), 2) if draw.random() < 0.5 else None
    rejected = tuple(f"{folder}/{number:05}/broken-{n}.jpg" for n in range(draw.randint(0, 2)))
    results = [_revised(first, cells, wbc, rejected)]
    if draw.random() < 0.3:
        late = _draw_cells(draw, f"{folder}/{number:05}/late", draw.randint(1, 20))
        both = tuple(sorted((*cells, *late), key=lambda cell: cell.image))
        results.append(_next(draw, results[-1], both, State.PRELIMINARY, models=MODELS))
    if draw.random() < 0.7:
        results.append(_verified(draw, results[-1], State.FINAL))
        if draw.random() < 0.4:
            results.append(_verified(draw, results[-1], State.CORRECTED))
    return tuple(results)


def differential_of(
    cells: Sequence[ResultCell], *, rejected: int, wbc: float | None
) -> Differential:
    """The counts of some cells; also for none."""
    counts = Counter(cell.label for cell in cells)
    total = sum(counts[name] for name in LEUKOCYTES)
    percents = _percents([counts[name] for name in LEUKOCYTES]) if total else [None] * 6
    nucleated = counts["erythroblast"]
    return Differential(
        classes=tuple(
            _class_result(name, counts[name], total, percent, wbc)
            for name, percent in zip(LEUKOCYTES, percents, strict=True)
        ),
        leukocytes=total,
        erythroblasts=Erythroblasts(
            nucleated,
            round(100 * nucleated / total, 1) if total else None,
            _interval(nucleated, total),
            None,
        ),
        platelets=counts["platelet"],
        unidentified=counts[None],
        rejected=rejected,
        wbc=wbc,
        errors_from="validation table of cells8 1.0.0, int8",
        flags=(Flag(FlagCode.TOO_FEW_CELLS, f"{total} leukocytes, 100 needed"),)
        if total < 100
        else (),
    )


def _class_result(
    name: str, count: int, total: int, percent: int | None, wbc: float | None
) -> ClassResult:
    share = 100 * count / total if total else None
    limits = _interval(count, total)
    return ClassResult(
        name=name,
        count=count,
        percent=percent,
        share=share,
        sampling=limits,
        with_errors=limits and _limits(limits.low / 2, limits.high * 1.1),
        absolute=round(share * wbc / 100, 2) if share is not None and wbc is not None else None,
    )


def _interval(count: int, total: int) -> Interval | None:
    if not total:
        return None
    middle, half = 100 * count / total, 100 / total**0.5
    return _limits(middle - half, middle + half)


def _limits(low: float, high: float) -> Interval:
    # As many decimals as limits have in a result.
    return Interval(round(max(0.0, low), 2), round(min(100.0, high), 2))


def _percents(counts: Sequence[int]) -> list[int]:
    """Whole percents that sum to 100, by the largest remainder."""
    total = sum(counts)
    percents = [100 * count // total for count in counts]
    by_remainder = sorted(range(len(counts)), key=lambda i: -(100 * counts[i] % total))
    for place in by_remainder[: 100 - sum(percents)]:
        percents[place] += 1
    return percents


def _draw_cells(draw: random.Random, folder: str, count: int) -> tuple[ResultCell, ...]:
    weights = MIXES[draw.choice(tuple(MIXES))]
    # The first is a leukocyte, as a slide without any has nothing to report.
    labels = ["neutrophil", *draw.choices(CELL_CLASSES, weights, k=count - 1)]
    return tuple(_draw_cell(draw, f"{folder}/{n:04}.jpg", label) for n, label in enumerate(labels))


def _draw_cell(draw: random.Random, image: str, label: str) -> ResultCell:
    is_identified = image.endswith("/0000.jpg") or draw.random() > 0.03
    return ResultCell(
        image=image,
        sha256=f"{draw.getrandbits(256):064x}",
        suggested=label if is_identified else None,
        confidence=round(draw.uniform(0.6, 1) if is_identified else draw.uniform(0.2, 0.6), 4),
        label=label if is_identified else None,
        is_familiar=draw.choice((True, True, True, False, None)),
    )


def _some_time(draw: random.Random, number: int) -> datetime:
    at = _START + timedelta(minutes=number, microseconds=draw.choice((0, 120_000, 130_557)))
    return at.astimezone(draw.choice(ZONES))


def _revised(
    result: SlideResult, cells: tuple[ResultCell, ...], wbc: float | None, rejected: tuple[str, ...]
) -> SlideResult:
    counted = differential_of(cells, rejected=len(rejected), wbc=wbc)
    return replace(result, cells=cells, differential=counted, rejected_images=rejected)


def _next(
    draw: random.Random,
    before: SlideResult,
    cells: tuple[ResultCell, ...],
    state: State,
    *,
    models: tuple[ModelIdentity, ...] | None = None,
) -> SlideResult:
    revised = _revised(before, cells, before.differential.wbc, before.rejected_images)
    return replace(
        revised,
        state=state,
        revision=before.revision + 1,
        completed=before.completed + timedelta(seconds=draw.randint(1, 7200)),
        models=models or before.models,
        replaces=before.result_id,
    )


def _verified(draw: random.Random, before: SlideResult, state: State) -> SlideResult:
    person = draw.choice(PEOPLE)
    # A person names what the model left open, and changes a few labels.
    cells = tuple(
        replace(
            cell,
            label=draw.choice(CELL_CLASSES)
            if draw.random() < 0.02
            else cell.label or draw.choice((*CELL_CLASSES, *NOT_COUNTED)),
            reviewed_by=person.id,
        )
        for cell in before.cells
    )
    result = _next(draw, before, cells, state)
    return replace(
        result,
        verification=Verification(person, result.completed, draw.choice(NOTES)),
        reason="late cells" if state is State.CORRECTED else None,
    )
