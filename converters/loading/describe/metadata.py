"""Finds values in the metadata that a training or an exporter stored beside the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from converters.loading.describe.findings import Finding, Findings, class_names, is_triple

# Keys for the names of the classes, and for the side of the images.
CLASS_KEYS: Final = (
    *("classes", "class_names", "names", "label_names", "labels", "categories", "vocab"),
    *("class_to_idx", "idx_to_class", "id2label", "label2id", "idx2label"),
)
_SIDE_KEYS: Final = ("img_size", "image_size", "imgsz", "input_size", "crop_size")


def find_in_metadata(notes: Mapping[Any, Any], origin: str) -> Findings:
    """Findings in metadata, under the usual keys."""
    names = next((n for k in CLASS_KEYS if (n := class_names(notes.get(k)))), None)
    size = next((s for k in _SIDE_KEYS if (s := _sides(notes.get(k)))), None)
    triples = {
        key: Finding([float(v) for v in notes[key]], origin)
        for key in ("mean", "std")
        if is_triple(notes.get(key))
    }
    crop = notes.get("crop_pct")
    interpolation = notes.get("interpolation")
    return Findings(
        classes=Finding(names, origin) if names else None,
        height=Finding(size[0], origin) if size else None,
        width=Finding(size[1], origin) if size else None,
        interpolation=Finding(interpolation, origin) if isinstance(interpolation, str) else None,
        crop=Finding(crop, origin) if isinstance(crop, float) else None,
        **triples,
    )


def _sides(value: Any) -> tuple[int, int] | None:
    """Height and width from one side, a pair, or channels and a pair; None for anything else."""
    numbers = list(_numbers(value))
    if len(numbers) == 3 and numbers[0] in (1, 3):
        numbers = numbers[1:]
    sides = numbers * 2 if len(numbers) == 1 else numbers
    return (sides[0], sides[1]) if len(sides) == 2 and all(8 <= n <= 4096 for n in sides) else None


def _numbers(value: Any) -> Iterator[int]:
    for number in value if isinstance(value, list | tuple) else [value]:
        if type(number) is int:
            yield number
