"""The options of a conversion, and the loading of its images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from converters.accuracy.gate import Gate
from converters.familiarity.choose import MOST_IMAGES, images_of_laboratory
from converters.familiarity.fit import LEAST_IMAGES
from converters.inputs.card import DRAWN, ModelCard
from converters.inputs.image_set import ImageSet, draw_images, load_images, load_readable
from edge.errors import ConfigError
from edge.text.counted import counted
from edge.text.progress import OnProgress

# With fewer images, extreme activations may be missed.
MIN_CALIBRATION_IMAGES: Final = 32
DRAWN_VALIDATION_COUNT: Final = 200
# Other seeds than the demonstration's, so that its cells are not used here.
DRAWN_CALIBRATION_SEED: Final = 7_919
DRAWN_VALIDATION_SEED: Final = 104_729


@dataclass(frozen=True, slots=True)
class ConversionRequest:
    """The options of a conversion. Image folders given here override the card's.

    Attributes:
        strict: refuse if an INT8 graph fails the gate, instead of writing a bundle without it.
        cache: folder for calibration results; None for no cache.
        trust_pickle: `sha256:HEX` of a pickled model that may run its code.
        tensorrt8: also write the graph for TensorRT 8.
        allow_weak_validation: allow few validation images, or none of some classes.
        reference: images of the laboratory where the model will work; None for those of the
            calibration folder, and the validation images if these are few.
    """

    model: Path
    card: ModelCard
    target: Path
    int8: bool
    calibration: Path | str | None = None
    validation: Path | str | None = None
    calibration_limit: int = 256
    overwrite: bool = False
    strict: bool = False
    cache: Path | None = None
    trust_pickle: str | None = None
    tensorrt8: bool = False
    allow_weak_validation: bool = False
    gate: Gate = field(default_factory=Gate)
    reference: Path | None = None


def calibration_images(
    request: ConversionRequest, scratch: Path, on_progress: OnProgress | None = None
) -> ImageSet | None:
    """Load the calibration images, or draw them into `scratch`; None without INT8.

    Raises:
        ConfigError: none are named, too few, or they cannot be used.
    """
    if not request.int8:
        return None
    chosen = request.calibration or request.card.calibration
    if chosen is None:
        raise ConfigError(
            "INT8 needs calibration images and the card names none. Give --calibration DIR with "
            "some hundred exported images (no labels needed)."
        )
    limit = request.calibration_limit
    if chosen == DRAWN:
        images = draw_images(limit, DRAWN_CALIBRATION_SEED, scratch / "calibration")
    else:
        images = load_images(Path(chosen), limit=limit, on_progress=on_progress)
    if len(images.files) < MIN_CALIBRATION_IMAGES:
        raise ConfigError(
            f"{images.origin} holds {len(images.files)} calibration images"
            f"{images.left_out_text}, {MIN_CALIBRATION_IMAGES} are needed. Give a folder with some "
            "hundred exported images."
        )
    return images


def validation_images(
    request: ConversionRequest, scratch: Path, on_progress: OnProgress | None = None
) -> ImageSet:
    """Load the validation images, or draw them into `scratch`.

    Raises:
        ConfigError: none are named, or they cannot be used.
    """
    chosen = request.validation or request.card.validation
    if chosen is None:
        raise ConfigError(
            "the accuracy check needs validation images and the card names none. Give "
            "--validation DIR with one folder of images per class."
        )
    return labelled_images(chosen, request.card.classes, scratch, on_progress)


def reference_images(
    request: ConversionRequest,
    to_calibrate: ImageSet | None,
    to_judge: ImageSet,
    on_progress: OnProgress | None = None,
) -> ImageSet:
    """Choose the images from which the laboratory is learned. Those that are broken are left out.

    Raises:
        ConfigError: the folder that was given for them cannot be used, or has too few.
    """
    if request.reference is not None:
        given = load_readable(request.reference, MOST_IMAGES, on_progress)
        if len(given.files) < LEAST_IMAGES:
            raise ConfigError(
                f"--reference {request.reference} holds {counted(len(given.files), 'image')}"
                f"{given.left_out_text}, {LEAST_IMAGES} of the laboratory are needed. Export more."
            )
        return given
    sets = [to_judge]
    chosen = request.calibration or request.card.calibration
    if to_calibrate is not None and chosen == DRAWN:
        sets.insert(0, to_calibrate)
    elif to_calibrate is not None:
        # Calibration takes a few of the folder's images, a laboratory is learned from more.
        sets.insert(0, load_readable(Path(str(chosen)), MOST_IMAGES))
    return images_of_laboratory(sets)


def shared_images(calibration: ImageSet, validation: Sequence[Path]) -> int:
    """Number of validation images that are byte for byte among the calibration images."""
    calibrated = [path for _, path in calibration.files]
    # Only files of equal size are read and hashed.
    sizes = {path.stat().st_size for path in calibrated}
    same_size = [path for path in validation if path.stat().st_size in sizes]
    digests = {_digest(path) for path in calibrated} if same_size else set()
    return sum(_digest(path) in digests for path in same_size)


def labelled_images(
    source: Path | str,
    classes: tuple[str, ...],
    scratch: Path,
    on_progress: OnProgress | None = None,
) -> ImageSet:
    """Load a folder's images with their classes, or draw them into `scratch`.

    Raises:
        ConfigError: they cannot be used.
    """
    if source == DRAWN:
        return draw_images(DRAWN_VALIDATION_COUNT, DRAWN_VALIDATION_SEED, scratch / "validation")
    return load_images(Path(source), classes, on_progress=on_progress)


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
