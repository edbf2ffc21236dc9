"""The smallest numbers of validation images from which accuracy is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from converters.inputs.image_set import ImageSet
from edge.errors import ConfigError

# If none of 30 images is lost, the 95 % interval of the loss (Clopper-Pearson) still reaches 12 %.
MIN_IMAGES: Final = 30
# If none of a class's 10 images is lost, it reaches 31 %.
THIN_CLASS_IMAGES: Final = 10
# The model is weak on a class below this recall, if the class has at least this many images.
_WEAK_RECALL: Final = 0.5
_WEAK_FROM_IMAGES: Final = 5


def require_enough_images(images: ImageSet, classes: tuple[str, ...]) -> None:
    """Refuse a set that is too small, or a labelled set without images of some class.

    Without labels no class can be checked; the reports state that in their first lines. Labels that
    the card does not know are another mistake, which `diagnose` reports.

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
    """The classes without images in a labelled set; empty for an unlabelled set."""
    counts = Counter(label for label, _ in images.files)
    return [name for name in classes if not counts[name]] if images.is_labelled else []


def weak_classes_text(counts: Mapping[str, tuple[int, int]]) -> str:
    """A warning about classes of which FP32 labels fewer than half right; empty if none.

    Args:
        counts: by class, the number of images that FP32 labels right, and of all images.
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
