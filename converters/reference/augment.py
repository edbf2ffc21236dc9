"""Random changes to training images.

Three of the classes are almost only known from smoothed copies, so sharpness must not carry
information about the class: every class is smoothed, blurred, sharpened and made noisy alike.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

# Filter strength at which non-local means brings a native image, resized to 224 px, to the
# median Laplacian variance of the published smoothed copies (measured on 75 of each).
DENOISE_STRENGTH = (8.0, 13.0)
DENOISED_SIDE_PX = 224


def denoise(image: Image, rng: np.random.Generator) -> Image:
    """Resize to 224 x 224 px and smooth, like the published smoothed copies."""
    small = cv2.resize(image, (DENOISED_SIDE_PX, DENOISED_SIDE_PX), interpolation=cv2.INTER_LINEAR)
    strength = float(rng.uniform(*DENOISE_STRENGTH))
    return np.asarray(
        cv2.fastNlMeansDenoisingColored(small, None, strength, strength, 7, 21), np.uint8
    )


def augment(image: Image, rng: np.random.Generator) -> Image:
    """One random variant of an RGB image; the size stays, except that sides may be swapped."""
    moved = _turn(image, rng) if rng.random() < 0.5 else _warp(image, rng)
    return _recolour(_change_sharpness(moved, rng), rng)


def _turn(image: Image, rng: np.random.Generator) -> Image:
    # Quarter turns and flips interpolate nothing, so half of the variants keep their texture.
    turned = np.rot90(image, int(rng.integers(4)))
    return np.ascontiguousarray(turned[:, ::-1] if rng.random() < 0.5 else turned)


def _warp(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    scale = float(np.exp(rng.uniform(np.log(0.85), np.log(1.18))))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(0, 360)), scale)
    matrix[:, 2] = matrix[:, 2] + rng.uniform(-0.05, 0.05, 2) * (width, height)
    if rng.random() < 0.5:
        matrix[0] = [-matrix[0, 0], -matrix[0, 1], width - matrix[0, 2]]
    return np.asarray(
        cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        ),
        np.uint8,
    )


def _change_sharpness(image: Image, rng: np.random.Generator) -> Image:
    choice = rng.random()
    if choice < 0.25:
        return image
    if choice < 0.45:
        return _blur(image, float(rng.uniform(0.4, 1.6)))
    if choice < 0.60:
        return _noise(_blur(image, float(rng.uniform(0.4, 1.2))), rng)
    if choice < 0.75:
        return _noise(image, rng)
    if choice < 0.90:
        return _sharpen(image, float(rng.uniform(0.3, 1.5)))
    return _compress(image, int(rng.integers(35, 90)))


def _blur(image: Image, sigma_px: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.uint8)


def _sharpen(image: Image, amount: float) -> Image:
    blurred = cv2.GaussianBlur(image, (0, 0), 1.2)
    return np.asarray(cv2.addWeighted(image, 1 + amount, blurred, -amount, 0), np.uint8)


def _noise(image: Image, rng: np.random.Generator) -> Image:
    noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(1.5, 8.0)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _compress(image: Image, quality: int) -> Image:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def _recolour(image: Image, rng: np.random.Generator) -> Image:
    # Stain and lamp differ between laboratories: gain and offset per channel, contrast, gamma.
    levels = np.arange(256, dtype=np.float32) / 255
    table = np.empty((1, 256, 3), np.uint8)
    gamma = float(np.exp(rng.uniform(-0.25, 0.25)))
    for channel in range(3):
        gain, offset = rng.uniform(0.93, 1.07), rng.uniform(-0.03, 0.03)
        table[0, :, channel] = np.clip((levels**gamma * gain + offset) * 255, 0, 255)
    recoloured = cv2.LUT(image, table)
    grey = cv2.cvtColor(cv2.cvtColor(recoloured, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    saturation = float(rng.uniform(0.7, 1.25))
    return np.asarray(cv2.addWeighted(recoloured, saturation, grey, 1 - saturation, 0), np.uint8)
