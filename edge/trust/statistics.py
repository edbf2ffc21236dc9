"""Statistics of one picture: brightness, tint, nucleus, position, sharpness.

A network's features say that an image is strange; these say in which way, and they see a stain or
a lamp that the network was trained to ignore. All are computed on small copies of the picture, so
that an image costs a fraction of its inference.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# The version of the definitions below. Statistics of different versions cannot be compared.
VERSION: Final = 1
NAMES: Final = (
    # Of the background: the pixels of the green channel above Otsu's threshold.
    "background_brightness",
    "background_red",
    "background_blue",
    # Of the nucleus: where blue exceeds green, as it does in Romanowsky stains.
    "nucleus_area",
    "nucleus_brightness",
    "nucleus_red",
    "nucleus_blue",
    "nucleus_offset",
    "nucleus_at_border",
    # Of the whole picture.
    "saturation",
    "contrast",
    "sharpness",
    "sharpness_ratio",
    "clipped_bright",
    "clipped_dark",
    "cell_area",
)

# Side of the small copy, in pixels. Twice as much separates laboratories no better.
_SIDE: Final = 80
# Sharpness is measured on the centre at full resolution, where a blur of 2 pixels still shows.
_SHARP_SIDE: Final = 200
# A pixel belongs to a nucleus only if blue exceeds green by this much, in 8-bit steps; below are
# noise and the tint of the background.
_LEAST_PURPLE: Final = 25
_BRIGHT, _DARK = 250, 25
# Added before a logarithm, so that black and flat pictures have one.
_STEP: Final = 1.0
_FLAT: Final = 0.3

_Pixels = NDArray[np.uint8]


def picture_statistics(image: _Pixels) -> NDArray[np.float32]:
    """The statistics of a decoded image, in the order of `NAMES`.

    Areas, shares of pixels and distances are relative to the picture, colours are logarithms of
    ratios, so the size of the picture does not matter, except for its sharpness.

    Args:
        image: uint8 (height, width, 3), RGB.

    Returns:
        float32 (statistics,), finite for every picture.
    """
    cv2 = _opencv()
    # Two steps: interpolation to an exact multiple, then means of 2 x 2 pixels. OpenCV computes
    # means over other sizes five times slower.
    double = cv2.resize(image, (2 * _SIDE, 2 * _SIDE), interpolation=cv2.INTER_LINEAR)
    small = cv2.resize(double, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    red, green, blue = cv2.split(small)
    threshold, background = cv2.threshold(green, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    behind = _colour(cv2.mean(small, background if threshold < green.max() else None))
    fine, coarse = _edges(cv2, _centre(image)), _edges(cv2, green)
    brightest = cv2.max(cv2.max(red, green), blue)
    darkest = cv2.min(cv2.min(red, green), blue)
    bright = cv2.mean(brightest)[0]
    values = (
        *behind,
        *_nucleus(cv2, small, cv2.subtract(blue, green), behind),
        (bright - cv2.mean(darkest)[0]) / (bright + _STEP),
        math.log(cv2.meanStdDev(green)[1][0, 0] + _STEP),
        math.log(fine + _FLAT),
        math.log((fine + _FLAT) / (coarse + _FLAT)),
        math.sqrt(np.count_nonzero(darkest >= _BRIGHT)) / _SIDE,
        math.sqrt(np.count_nonzero(brightest <= _DARK)) / _SIDE,
        1 - cv2.countNonZero(background) / _SIDE**2,
    )
    return np.array(values, np.float32)


def _opencv() -> Any:
    """OpenCV; programs that read only results do without its 20 MB. Its stubs know too little."""
    import cv2

    return cv2


def _centre(image: _Pixels) -> _Pixels:
    """The green channel around the middle."""
    height, width = image.shape[:2]
    rows, columns = min(height, _SHARP_SIDE), min(width, _SHARP_SIDE)
    top, left = (height - rows) // 2, (width - columns) // 2
    return np.ascontiguousarray(image[top : top + rows, left : left + columns, 1])


def _edges(cv2: Any, grey: _Pixels) -> float:
    """The mean magnitude of the second derivative, in grey levels."""
    laplacian = cv2.Laplacian(grey, cv2.CV_16S, ksize=1)
    return float(cv2.norm(laplacian, cv2.NORM_L1) / laplacian.size)


def _colour(means: tuple[float, ...]) -> tuple[float, float, float]:
    """Brightness, and red and blue beside green, as logarithms."""
    red, green, blue = (value + _STEP for value in means[:3])
    brightness = math.log((red + green + blue) / 3)
    return brightness, math.log(red / green), math.log(blue / green)


def _nucleus(
    cv2: Any, small: _Pixels, purple: _Pixels, behind: tuple[float, float, float]
) -> tuple[float, ...]:
    """Area, colour, distance from the middle, and share of the border that it covers."""
    otsu, _ = cv2.threshold(purple, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    _, mask = cv2.threshold(purple, max(otsu, _LEAST_PURPLE), 255, cv2.THRESH_BINARY)
    moments = cv2.moments(mask, binaryImage=True)
    area = moments["m00"]
    if not area:
        return (0.0, *behind, 0.0, 0.0)
    middle = (_SIDE - 1) / 2
    x, y = moments["m10"] / area - middle, moments["m01"] / area - middle
    border = sum(
        cv2.countNonZero(part) for part in (mask[:2], mask[-2:], mask[2:-2, :2], mask[2:-2, -2:])
    )
    return (
        math.sqrt(area) / _SIDE,
        *_colour(cv2.mean(small, mask)),
        2 * math.hypot(x, y) / _SIDE,
        math.sqrt(border / (8 * (_SIDE - 2))),
    )
