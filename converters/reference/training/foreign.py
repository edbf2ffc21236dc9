"""Augments training images as another laboratory would make them: magnification, focus, colours.

A network that has seen one laboratory takes its stain, its light and its scale for marks of the
classes. So a share of the training images is changed far more than `augment` does, in each class
alike, apart from the magnification of platelets (`MAGNIFICATION`).
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from converters.reference.training import augment
from edge.preprocess import InputSpec, preprocess

Image = NDArray[np.uint8]

# Some instruments export a crop that the cell fills: 2.5 times the size of the DM96's.
MAGNIFICATION: Final = (0.75, 2.8)
# In two fifths of the images of a class, and in all of platelets: a platelet enlarged to the size
# of a leukocyte is not told from one out of focus, and then each blurred cell is a platelet.
SLIGHT_MAGNIFICATION: Final = (0.75, 1.4)
_SLIGHT_SHARE: Final = 0.4
_SHARPNESS: Final = augment.Sharpness((0.25, 0.55, 0.70, 0.80, 0.90), (0.5, 3.5), (0.5, 2.5), 25)
# The amount of each dye, its colour, and the light that each camera makes of it.
_STAIN_GAIN: Final = 0.3
_STAIN_OFFSET: Final = 0.08
_DYE_NOISE: Final = 0.07
_HUE_STEPS: Final = 7  # of 180
_GAMMA: Final = 0.5
_CHANNEL_GAMMA: Final = 0.12
_CHANNEL_GAIN: Final = (0.78, 1.15)
_CHANNEL_OFFSET: Final = 0.06
_SATURATION: Final = (0.5, 1.5)


def augment_as_foreign(
    image: Image, spec: InputSpec, rng: np.random.Generator, *, is_platelet: bool
) -> Image:
    """One random variant of an RGB image, as another laboratory may have made it.

    Returns:
        uint8, shape (spec.height, spec.width, 3).
    """
    is_slight = is_platelet or rng.random() < _SLIGHT_SHARE
    scale = SLIGHT_MAGNIFICATION if is_slight else MAGNIFICATION
    warped = augment.warp(augment.turn(image, rng), rng, scale)
    return _recolour(preprocess(augment.change_sharpness(warped, rng, _SHARPNESS), spec), rng)


def _recolour(image: Image, rng: np.random.Generator) -> Image:
    if rng.random() < 0.1:
        return augment.recolour(image, rng)
    if rng.random() < 0.7:
        gain = np.exp(rng.uniform(-_STAIN_GAIN, _STAIN_GAIN, 3))
        offset = rng.uniform(-_STAIN_OFFSET, _STAIN_OFFSET, 3)
        dyes = augment.STAINS + rng.normal(0, _DYE_NOISE, (3, 3)).astype(np.float32)
        image = augment.restain(image, gain, offset, dyes)
    if rng.random() < 0.3:
        image = _turn_hue(image, int(rng.integers(-_HUE_STEPS, _HUE_STEPS + 1)))
    gamma = float(rng.uniform(-_GAMMA, _GAMMA))
    tones = [
        (
            np.exp(gamma + rng.uniform(-_CHANNEL_GAMMA, _CHANNEL_GAMMA)),
            rng.uniform(*_CHANNEL_GAIN),
            rng.uniform(-_CHANNEL_OFFSET, _CHANNEL_OFFSET),
        )
        for _ in range(3)
    ]
    return augment.saturate(augment.change_tones(image, tones), float(rng.uniform(*_SATURATION)))


def _turn_hue(image: Image, steps: int) -> Image:
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    turned = ((hue.astype(np.int16) + steps) % 180).astype(np.uint8)
    return np.asarray(
        cv2.cvtColor(cv2.merge([turned, saturation, value]), cv2.COLOR_HSV2RGB), np.uint8
    )
