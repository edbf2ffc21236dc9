"""How right both models are: over all images, by class, and which classes they confuse."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from markupsafe import Markup

from converters.accuracy.validation_size import THIN_CLASS_IMAGES
from converters.report.drawings.bars import recall_bars
from converters.report.figures.facts import Fields
from converters.report.figures.numbers import (
    NOT_KNOWN,
    Noted,
    count,
    interval,
    number,
    percent,
    points,
    share,
    share_interval,
)

# Shades of the confusion tables, from the lightest to the darkest; the style has a colour of each.
_SHADES: Final = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """A measure of both models."""

    fp32: Noted
    int8: Noted


@dataclass(frozen=True, slots=True)
class LabelledMeasures:
    """What only labelled images show. `worst_class` is the name of a class and its recall."""

    accuracy: Pair
    balanced_accuracy: Pair
    calibration_error: Pair
    worst_class: Pair
    p_value: str


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The measures over all validation images; `labelled` is None where they have no labels."""

    labelled: LabelledMeasures | None
    same_label: Noted
    divergence: Noted


@dataclass(frozen=True, slots=True)
class ClassRow:
    """The recall of one class, in numbers and as bars."""

    name: str
    images: Noted
    fp32: Noted
    int8: Noted
    points_lost: Noted
    bars: Markup


@dataclass(frozen=True, slots=True)
class Cell:
    """How many images of a true class were given a label.

    `shade` is 0 for none and up to 5 for all images of the class; `change` is what differs from
    FP32, empty where nothing does.
    """

    images: str
    is_right: bool
    shade: int
    change: str


@dataclass(frozen=True, slots=True)
class Confusion:
    """Both confusion tables: for each true class its row of cells, one for each label given."""

    classes: tuple[str, ...]
    fp32: tuple[tuple[Cell, ...], ...]
    int8: tuple[tuple[Cell, ...], ...]
    is_same: bool


def with_interval(found: Fields) -> Noted:
    """A `Share.to_dict` as percentage and counts, its 95 % interval below."""
    return Noted(share(found), share_interval(found) if found["total"] else "no images")


def accuracy(graph: Fields) -> Accuracy:
    """The measures of both models over all images."""
    found = graph["divergence"]
    limits = interval(number(found["low"]), number(found["high"]))
    return Accuracy(
        labelled=_labelled(graph) if "accuracy" in graph else None,
        same_label=with_interval(graph["agreement"]),
        divergence=Noted(f"{number(found['value'])} nats", limits),
    )


def class_rows(graph: Fields) -> tuple[ClassRow, ...]:
    """Recall of each class with its interval; none without labels."""
    per_class: dict[str, Fields] = graph.get("per_class") or {}
    return tuple(_class_row(name, found) for name, found in per_class.items())


def confusion(graph: Fields, classes: list[str]) -> Confusion | None:
    """Both confusion tables; None without labels."""
    if "confusion" not in graph:
        return None
    fp32, int8 = graph["confusion"]["fp32"], graph["confusion"]["int8"]
    return Confusion(tuple(classes), _cells(fp32, fp32), _cells(int8, fp32), is_same=fp32 == int8)


def _labelled(graph: Fields) -> LabelledMeasures:
    accuracy_, worst = graph["accuracy"], graph["worst_class"]
    recall = {p: share(graph["per_class"][worst[p]][p]) for p in ("fp32", "int8")}
    return LabelledMeasures(
        accuracy=Pair(with_interval(accuracy_["fp32"]), with_interval(accuracy_["int8"])),
        balanced_accuracy=_estimates(graph["balanced_accuracy"]),
        calibration_error=_estimates(graph["calibration_error"]),
        worst_class=Pair(
            Noted(worst["fp32"], recall["fp32"]), Noted(worst["int8"], recall["int8"])
        ),
        p_value=f"p = {number(graph['paired_p_value'], 2)}",
    )


def _estimates(both: Fields) -> Pair:
    fp32, int8 = (
        Noted(percent(both[p]["value"]), share_interval(both[p])) for p in ("fp32", "int8")
    )
    return Pair(fp32, int8)


def _class_row(name: str, found: Fields) -> ClassRow:
    fp32, int8 = found["fp32"], found["int8"]
    label = f"Recall of {name}: FP32 {share(fp32)}, INT8 {share(int8)}"
    few = "too few" if fp32["total"] < THIN_CLASS_IMAGES else ""
    return ClassRow(
        name=name,
        images=Noted(count(fp32["total"]), few),
        fp32=with_interval(fp32),
        int8=with_interval(int8),
        points_lost=_points_lost(found),
        bars=recall_bars(fp32, int8, label),
    )


def _points_lost(found: Fields) -> Noted:
    """Of one class, with the interval and the images that differ; older bundles lack them."""
    if "lost" not in found or not found["fp32"]["total"]:
        return Noted(NOT_KNOWN)
    drop = 100 * (found["fp32"]["rate"] - found["int8"]["rate"])
    limits = interval(*map(points, found["drop_interval_points"]))
    images = f"; {count(found['lost'])} lost, {count(found['gained'])} gained"
    return Noted(points(drop), f"{limits}{images}")


def _cells(counts: list[list[int]], reference: list[list[int]]) -> tuple[tuple[Cell, ...], ...]:
    """The cells of a table, with what differs from `reference`."""
    return tuple(
        tuple(
            Cell(
                images=count(found),
                is_right=true == given,
                shade=min(ceil(_SHADES * found / max(sum(row), 1)), _SHADES),
                change=_change(found - reference[true][given]),
            )
            for given, found in enumerate(row)
        )
        for true, row in enumerate(counts)
    )


def _change(difference: int) -> str:
    if not difference:
        return ""
    return f"+{difference}" if difference > 0 else points(difference, 0)
