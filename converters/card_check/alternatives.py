"""The other common values that a wrong entry of the model card may have in truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from edge.preprocess import Channels, InputSpec, Resize

Triple = tuple[float, float, float]

_BYTE: Final = 1 / 255
# Mean and standard deviation for values scaled to 0..1: ImageNet's; values from -1 to 1, of which
# (value - 127) / 128 differs by less than a grey level; from 0 to 1; from 0 to 255, for networks
# that were trained on bytes or normalise them themselves.
NORMALISATIONS: Final[tuple[tuple[Triple, Triple], ...]] = (
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ((0.0, 0.0, 0.0), (_BYTE, _BYTE, _BYTE)),
)
# Caffe's normalisation: bytes minus ImageNet's mean, nearly always with BGR channels.
CAFFE_MEAN_BGR: Final = (103.939 * _BYTE, 116.779 * _BYTE, 123.68 * _BYTE)
# 0.875 is 224 / 256, the usual evaluation crop on ImageNet.
CROPS: Final = (1.0, 0.875, 0.8, 0.65, 0.5)


@dataclass(frozen=True, slots=True)
class OtherInput:
    """An input spec that differs from the card's in one or two entries, described for messages.

    `keys` are the differing entries of the card, `fits` and `card` their values here and there.
    """

    spec: InputSpec
    keys: str
    fits: str
    card: str
    is_combined: bool = False


def other_inputs(spec: InputSpec) -> list[OtherInput]:
    """Every input that differs from `spec` in one entry, or in the normalisation and channels.

    Other sizes are tried in `sizes`.
    """
    others = [*_other_values(spec), *other_normalisations(spec)]
    turned = _with(spec, "channels", "bgr" if spec.channels == "rgb" else "rgb")
    for other in other_normalisations(turned.spec):
        keys, fits = f"{turned.keys}, {other.keys}", f"{turned.fits}, {other.fits}"
        card = f"{turned.card}, {other.card}"
        others.append(OtherInput(other.spec, keys, fits, card, is_combined=True))
    return others


def other_normalisations(spec: InputSpec) -> Iterator[OtherInput]:
    """Every common mean and std that differ from those of `spec`, in the order of its channels."""
    caffe = CAFFE_MEAN_BGR if spec.channels == "bgr" else CAFFE_MEAN_BGR[::-1]
    for mean, std in (*NORMALISATIONS, (caffe, (_BYTE, _BYTE, _BYTE))):
        if not np.allclose((mean, std), (spec.mean, spec.std), atol=1e-4):
            yield OtherInput(
                replace(spec, mean=mean, std=std),
                "input.mean and input.std",
                described(mean, std),
                described(spec.mean, spec.std),
            )


def other_order(
    predicted: NDArray[np.intp], labels: NDArray[np.intp], class_count: int
) -> list[int]:
    """The output of the network that fits each class, according to the images; a permutation.

    Greedy: pairs of class and output are assigned by the share of the class's images that got this
    label, largest first. A class without images keeps its output if that is free.
    """
    table = np.zeros((class_count, class_count))
    np.add.at(table, (labels, predicted), 1)
    table /= np.maximum(table.sum(axis=1, keepdims=True), 1)
    # Among equal shares, keep the card's order.
    table += np.eye(class_count) * 1e-6
    order = [-1] * class_count
    for place in np.argsort(-table, axis=None, kind="stable"):
        label, output = divmod(int(place), class_count)
        if order[label] < 0 and output not in order:
            order[label] = output
    return order


def _other_values(spec: InputSpec) -> Iterator[OtherInput]:
    for key, values in (("channels", get_args(Channels)), ("resize", get_args(Resize))):
        for value in values:
            if value != getattr(spec, key):
                yield _with(spec, key, value)
    for crop in CROPS:
        if crop != spec.crop:
            yield _with(spec, "crop", crop)


def _with(spec: InputSpec, key: str, value: str | float) -> OtherInput:
    other = InputSpec.from_dict({**spec.to_dict(), key: value})
    return OtherInput(other, f"input.{key}", f"{key}: {value}", str(getattr(spec, key)))


def described(mean: Triple, std: Triple) -> str:
    """A normalisation in words; for std 1/255 with the range of values."""
    if np.allclose(std, _BYTE, atol=1e-5):
        bytes_less = "" if not any(mean) else f" less {_short(mean, 255)}"
        return f"mean {_short(mean)} and std {_short(std)} (1/255: values 0 to 255{bytes_less})"
    return f"mean {_short(mean)} and std {_short(std)}"


def _short(triple: Triple, scale: int = 1) -> str:
    texts = [f"{value * scale:.4g}" for value in triple]
    return texts[0] if len(set(texts)) == 1 else f"[{', '.join(texts)}]"
