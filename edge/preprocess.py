"""Crops and resizes a decoded image to the network's input.

Training, calibration, accuracy checks, the benchmark and the daemon all call `preprocess`.
Scaling to floating point and normalisation are the first nodes of the ONNX graph, so every back
end takes the same uint8 array, and a GPU receives a quarter of the bytes of float32.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.files.known_keys import require_known_keys

Resize = Literal["area", "linear", "cubic", "nearest"]
Channels = Literal["rgb", "bgr"]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The network's input: the `input` block of the model card and of the manifest.

    `mean` and `std` are per channel, in the order of `channels`, for values scaled to 0..1.
    `crop` is the side of the centred crop as a fraction of the image's side (1.0: no crop).
    """

    height: int
    width: int
    channels: Channels
    resize: Resize
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("height", self.height), ("width", self.width)):
            if type(value) is not int or not 8 <= value <= 4096:
                raise ConfigError(f"input.{name} is {value!r}; give whole pixels from 8 to 4096.")
        _require_one_of("channels", self.channels, get_args(Channels))
        _require_one_of("resize", self.resize, get_args(Resize))
        for name, triple in (("mean", self.mean), ("std", self.std)):
            if len(triple) != 3 or not all(isinstance(v, float) for v in triple):
                raise ConfigError(f"input.{name} is {triple!r}; give three numbers.")
        if not all(0.0 <= v <= 1.0 for v in self.mean):
            raise ConfigError(
                f"input.mean is {self.mean}; give it for values scaled to 0..1 (divide by 255)."
            )
        if not all(0.0 < v <= 1.0 for v in self.std):
            raise ConfigError(
                f"input.std is {self.std}; give it for values scaled to 0..1 (divide by 255)."
            )
        if not isinstance(self.crop, float) or not 0.1 <= self.crop <= 1.0:
            raise ConfigError(f"input.crop is {self.crop!r}; give a fraction from 0.1 to 1.")

    @classmethod
    def from_dict(cls, values: Any) -> InputSpec:
        """Build a spec from a parsed YAML or JSON block.

        Raises:
            ConfigError: a key is missing, unknown or out of range.
        """
        if not isinstance(values, dict):
            raise ConfigError(f"input is {values!r}; give a block with height, width, channels.")
        required = ("height", "width", "channels", "resize", "mean", "std")
        # Checked first: for a misspelt key "unknown" is a better message than "missing".
        require_known_keys("input", values, (*required, "crop"))
        missing = [key for key in required if key not in values]
        if missing:
            raise ConfigError(f"input has no {', '.join(missing)}; add it to the model card.")
        return cls(
            height=values["height"],
            width=values["width"],
            channels=values["channels"],
            resize=values["resize"],
            mean=_three_floats("mean", values["mean"]),
            std=_three_floats("std", values["std"]),
            crop=_as_float("crop", values.get("crop", 1.0)),
        )

    def to_dict(self) -> dict[str, Any]:
        """The spec as JSON types."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}


def preprocess(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Crop and resize one RGB image to the network's input.

    Args:
        image: uint8, shape (height, width, 3), RGB, from `edge.image_files.read.read_image`.
        spec: the network's input.

    Returns:
        uint8, shape (spec.height, spec.width, 3), channels in the order of `spec.channels`.
    """
    # Programs that read only a bundle's evidence do without its 20 MB.
    import cv2

    cropped = _centre_crop(image, spec.crop)
    interpolation = getattr(cv2, f"INTER_{spec.resize.upper()}")
    resized = cv2.resize(cropped, (spec.width, spec.height), interpolation=interpolation)
    if spec.channels == "bgr":
        resized = cv2.cvtColor(resized, cv2.COLOR_RGB2BGR)
    return np.asarray(resized, dtype=np.uint8)


def _centre_crop(image: NDArray[np.uint8], fraction: float) -> NDArray[np.uint8]:
    if fraction == 1.0:
        return image
    height, width = image.shape[:2]
    crop_height, crop_width = max(1, round(height * fraction)), max(1, round(width * fraction))
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    return image[top : top + crop_height, left : left + crop_width]


def _require_one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"input.{name} is {value!r}; give one of {', '.join(allowed)}.")


def _as_float(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"input.{name} is {value!r}; give a number.")
    return float(value)


def _three_floats(name: str, values: Any) -> tuple[float, float, float]:
    if not isinstance(values, list | tuple) or len(values) != 3:
        raise ConfigError(f"input.{name} is {values!r}; give three numbers.")
    first, second, third = (_as_float(name, value) for value in values)
    return first, second, third
