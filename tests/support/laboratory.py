"""A laboratory of drawn cells, and what a small network sees in them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from converters.familiarity.faults import KNOWN
from converters.familiarity.fit import Fitted, fit_reference
from converters.familiarity.look import Seen, look
from edge.backends.onnx import OnnxSession, open_onnx
from edge.demo.analyzer import drawn_images
from edge.image_files.limits import ImageLimits
from edge.image_files.read import decode_image
from edge.preprocess import InputSpec
from tests.support.small_bundle import colour_model

Picture = NDArray[np.uint8]

SPEC = InputSpec(16, 16, "rgb", "area", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CLASSES = ("red", "green", "blue")
GRAPHS = ("model.int8.onnx", "model.fp32.onnx")
HOME_SEED, NEW_SEED = 11, 12


@cache
def drawn_pictures(count: int, seed: int) -> tuple[Picture, ...]:
    """Decoded drawn cells."""
    return tuple(decode_image(content, ImageLimits()) for _, content in drawn_images(count, seed))


def colour_session(*, has_features: bool = True) -> OnnxSession:
    """A network whose features are the means of the channels."""
    return open_onnx(colour_model(has_features=has_features), "int8", graph=GRAPHS[0])


def seen(pictures: Sequence[Picture], *, has_features: bool = True) -> Seen:
    return look(colour_session(has_features=has_features), pictures, SPEC, len(pictures))


@cache
def fitted(*, has_features: bool = True) -> Fitted:
    """A reference of 200 drawn cells, for both graphs of the small bundle."""
    home = seen(drawn_pictures(200, HOME_SEED), has_features=has_features)
    few = drawn_pictures(200, HOME_SEED)[:12]
    faults = [
        (str(one.reason), seen([one.change(p) for p in few], has_features=has_features))
        for one in KNOWN
    ]
    others = {GRAPHS[1]: (home, home)}
    return fit_reference(home, others, faults, graph=GRAPHS[0], class_count=len(CLASSES))
