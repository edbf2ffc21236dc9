"""Augments training images, so that the network cannot learn the class from export settings.

In the data set, a few exports with another size and tint contain only some of the classes. So
scale, position, border, stain, white balance, sharpness and compression are varied equally in all
classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.preprocess import InputSpec, preprocess

Image = NDArray[np.uint8]

# Filter strength at which non-local means brings a native image, resized to 224 px, to the
# median Laplacian variance of the published smoothed copies (measured on 75 of each).
DENOISE_STRENGTH: Final = (8.0, 13.0)
DENOISED_SIDE_PX: Final = 224


@dataclass(frozen=True, slots=True)
class Sharpness:
    """How often and how far the sharpness of images is changed.

    Attributes:
        shares: cumulative shares of images that stay as they are, are blurred, blurred with noise,
            get noise, are sharpened; the rest is compressed.
        blur_px: range of the blur's standard deviation, in pixels.
        blur_with_noise_px: the same where noise follows.
        least_quality: of JPEG.
    """

    shares: tuple[float, float, float, float, float]
    blur_px: tuple[float, float]
    blur_with_noise_px: tuple[float, float]
    least_quality: int


_SHARPNESS: Final = Sharpness((0.35, 0.50, 0.62, 0.74, 0.87), (0.4, 1.6), (0.4, 1.2), 35)
SCALE: Final = (0.8, 1.25)
SHIFT: Final = 0.06
# Optical densities of haematoxylin, eosin and DAB in red, green and blue (Ruifrok and Johnston,
# Analytical and Quantitative Cytology and Histology 23:291, 2001). The dyes of blood stains differ,
# but any basis of densities will do to vary the amount of each dye.
STAINS: Final = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], np.float32)
_UNMIX: Final = np.linalg.inv(STAINS)
# Logarithm of the transmitted light, by pixel value; `exp` inverts it.
_DENSITY: Final = np.log((np.arange(256, dtype=np.float32) + 1) / 256)
_STAIN_GAIN: Final = 0.18
_STAIN_OFFSET: Final = 0.04
# Noise is drawn once, and each image gets a random part of it: drawing it takes milliseconds.
_NOISE_SIDE_PX: Final = 1024
_NOISE: Final = np.random.default_rng(0).standard_normal(
    (_NOISE_SIDE_PX, _NOISE_SIDE_PX, 3), np.float32
)


def denoise(image: Image, rng: np.random.Generator) -> Image:
    """Resize to 224 x 224 px and smooth, like the published smoothed copies."""
    small = cv2.resize(image, (DENOISED_SIDE_PX, DENOISED_SIDE_PX), interpolation=cv2.INTER_LINEAR)
    strength = float(rng.uniform(*DENOISE_STRENGTH))
    return np.asarray(
        cv2.fastNlMeansDenoisingColored(small, None, strength, strength, 7, 21), np.uint8
    )


def augment(image: Image, spec: InputSpec, rng: np.random.Generator) -> Image:
    """One random variant of an RGB image at the network's input size.

    Sharpness is varied at the original size, before `edge.preprocess`, because the analyzer's
    optics and compression act there. Colour is varied afterwards, which takes less time.

    Returns:
        uint8, shape (spec.height, spec.width, 3).
    """
    turned = turn(image, rng)
    if rng.random() < 0.6:
        turned = warp(turned, rng, SCALE)
    return recolour(preprocess(change_sharpness(turned, rng, _SHARPNESS), spec), rng)


def turn(image: Image, rng: np.random.Generator) -> Image:
    """A random quarter turn, mirrored or not."""
    # Quarter turns and flips do not interpolate, so they keep the texture.
    turned = np.rot90(image, int(rng.integers(4)))
    return np.ascontiguousarray(turned[:, ::-1] if rng.random() < 0.5 else turned)


def warp(image: Image, rng: np.random.Generator, scale_range: tuple[float, float]) -> Image:
    """Turn by up to 45 degrees, scale within the range and shift; the border is filled."""
    height, width = image.shape[:2]
    scale = float(np.exp(rng.uniform(*np.log(scale_range))))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-45, 45)), scale)
    matrix[:, 2] = matrix[:, 2] + rng.uniform(-SHIFT, SHIFT, 2) * (width, height)
    border = cv2.BORDER_REFLECT if rng.random() < 0.5 else cv2.BORDER_REPLICATE
    warped = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=border
    )
    return np.asarray(warped, np.uint8)


def change_sharpness(image: Image, rng: np.random.Generator, sharpness: Sharpness) -> Image:
    """Blur, sharpen, compress or add noise, or nothing of it."""
    choice = rng.random()
    same, blurred, blurred_with_noise, with_noise, sharpened = sharpness.shares
    if choice < same:
        return image
    if choice < blurred:
        return _blur(image, float(rng.uniform(*sharpness.blur_px)))
    if choice < blurred_with_noise:
        return _noise(_blur(image, float(rng.uniform(*sharpness.blur_with_noise_px))), rng)
    if choice < with_noise:
        return _noise(image, rng)
    if choice < sharpened:
        return _sharpen(image, float(rng.uniform(0.3, 1.5)))
    return _compress(image, int(rng.integers(sharpness.least_quality, 90)))


def _blur(image: Image, sigma_px: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.uint8)


def _sharpen(image: Image, amount: float) -> Image:
    blurred = cv2.GaussianBlur(image, (0, 0), 1.2)
    return np.asarray(cv2.addWeighted(image, 1 + amount, blurred, -amount, 0), np.uint8)


def _noise(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    top, left = (int(rng.integers(max(1, _NOISE_SIDE_PX - side))) for side in (height, width))
    field = _NOISE[top : top + height, left : left + width]
    if field.shape != image.shape:
        field = np.resize(_NOISE, image.shape)
    strength = float(rng.uniform(1.5, 8.0))
    return np.asarray(cv2.addWeighted(image, 1, field, strength, 0, dtype=cv2.CV_8U), np.uint8)


def _compress(image: Image, quality: int) -> Image:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def recolour(image: Image, rng: np.random.Generator) -> Image:
    """Vary lamp, white balance and stain."""
    choice = rng.random()
    if choice < 0.1:
        return image
    if choice < 0.6:
        gain = rng.uniform(1 - _STAIN_GAIN, 1 + _STAIN_GAIN, 3)
        image = restain(image, gain, rng.uniform(-_STAIN_OFFSET, _STAIN_OFFSET, 3))
    return _rebalance(image, rng)


def restain(
    image: Image,
    gain: NDArray[np.float64],
    offset: NDArray[np.float64],
    dyes: NDArray[np.float32] = STAINS,
) -> Image:
    """Change the amount of each dye, and its colour.

    Args:
        gain: factors of the three amounts, shape (3,).
        offset: is added to them, shape (3,).
        dyes: the new optical densities of the dyes, rows of (red, green, blue).
    """
    # Unmixing, change and mixing are combined in one affine map of densities.
    matrix = np.column_stack([(_UNMIX @ np.diag(gain) @ dyes).T, offset @ STAINS])
    density = cv2.LUT(image, _DENSITY)
    light = cv2.exp(cv2.transform(density, matrix.astype(np.float32)))
    return np.asarray(cv2.addWeighted(light, 256, light, 0, -1, dtype=cv2.CV_8U), np.uint8)


def _rebalance(image: Image, rng: np.random.Generator) -> Image:
    """Vary gain and offset of each channel, gamma and saturation."""
    gamma = float(np.exp(rng.uniform(-0.25, 0.25)))
    tones = [(gamma, rng.uniform(0.92, 1.08), rng.uniform(-0.03, 0.03)) for _ in range(3)]
    return saturate(change_tones(image, tones), float(rng.uniform(0.6, 1.25)))


def change_tones(image: Image, tones: list[tuple[float, float, float]]) -> Image:
    """Apply an exponent, a gain and an offset to each channel, whose values are 0 to 1."""
    levels = np.arange(256, dtype=np.float32) / 255
    table = np.empty((1, 256, 3), np.uint8)
    for channel, (exponent, gain, offset) in enumerate(tones):
        table[0, :, channel] = np.clip((levels**exponent * gain + offset) * 255, 0, 255)
    return np.asarray(cv2.LUT(image, table), np.uint8)


def saturate(image: Image, saturation: float) -> Image:
    """Scale the distance of each pixel from grey."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, saturation, grey, 1 - saturation, 0), np.uint8)
