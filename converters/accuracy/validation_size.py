"""How many validation images there have to be before a verdict may rest on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from converters.inputs.image_set import ImageSet
from edge.errors import ConfigError

# Of 30 images, none lost: the 95 % interval of what is lost (Clopper-Pearson) reaches 12 %.
MIN_IMAGES: Final = 30
# Of 10 images of a class, none lost: it reaches 31 %.
THIN_CLASS_IMAGES: Final = 10
# A class is known badly below this share of at least so many images.
_WEAK_RECALL: Final = 0.5
_WEAK_FROM_IMAGES: Final = 5


def require_enough_images(images: ImageSet, classes: tuple[str, ...]) -> None:
    """Refuse a set that is too small, or that has labels and leaves a class out.

    A set without labels says nothing of any class; the reports say so in their first lines. Labels
    that the card does not know are another mistake, which `diagnose` names.

    Raises:
        ConfigError: what was found and what is needed.
    """
    if images.is_labelled and {label for label, _ in images.files} - set(classes):
        return
    missing = empty_classes(images, classes)
    if len(images.files) >= MIN_IMAGES and not missing:
        return
    none_of = f", none of {' or '.join(missing)}" if missing else ""
    raise ConfigError(
        f"{images.origin} holds {len(images.files)} validation images{none_of}"
        f"{images.left_out_text}; {MIN_IMAGES} and some of every class are needed for a verdict. "
        "Add images, or give --allow-weak-validation to do without."
    )


def empty_classes(images: ImageSet, classes: tuple[str, ...]) -> list[str]:
    """The classes of which a labelled set has no image."""
    counts = Counter(label for label, _ in images.files)
    return [name for name in classes if not counts[name]] if images.is_labelled else []


def weak_classes_text(counts: Mapping[str, tuple[int, int]]) -> str:
    """A warning of the classes that a model knows badly, empty where there are none.

    Args:
        counts: by class the images that FP32 labels right, and all of them.
    """
    weak = [
        f"{name} ({right} of {total})"
        for name, (right, total) in counts.items()
        if total >= _WEAK_FROM_IMAGES and right < _WEAK_RECALL * total
    ]
    if not weak:
        return ""
    return (
        f"the model itself is right on fewer than half of the images of {', '.join(weak)}: do not "
        "rely on these labels; look at the folders' images, or train it on more of them"
    )
