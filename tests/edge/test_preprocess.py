from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.preprocess import InputSpec, preprocess

CARD: dict[str, Any] = {
    "height": 20,
    "width": 30,
    "channels": "rgb",
    "resize": "area",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
}


def spec(**changes: Any) -> InputSpec:
    return InputSpec.from_dict({**CARD, **changes})


def test_preprocess_gives_the_networks_size() -> None:
    small = preprocess(np.zeros((363, 360, 3), np.uint8), spec())
    assert small.shape == (20, 30, 3)
    assert small.dtype == np.uint8


def test_preprocess_bgr_swaps_red_and_blue() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[..., 0] = 200
    small = preprocess(image, spec(channels="bgr"))
    assert small[..., 2].min() == 200
    assert small[..., 0].max() == 0


def test_preprocess_crop_keeps_the_middle() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[25:75, 25:75] = 255
    assert preprocess(image, spec(crop=0.5)).min() == 255
    assert preprocess(image, spec()).min() == 0


def test_preprocess_area_averages_where_linear_picks() -> None:
    image = np.zeros((80, 80, 3), np.uint8)
    image[::4] = 255
    area = preprocess(image, spec(height=20, width=20))
    linear = preprocess(image, spec(height=20, width=20, resize="linear"))
    assert np.ptp(area) <= 1
    assert area.mean() == pytest.approx(255 / 4, abs=1)
    assert not np.array_equal(area, linear)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"height": 0}, "input.height is 0"),
        ({"height": "20"}, "input.height is '20'"),
        ({"channels": "gbr"}, "one of rgb, bgr"),
        ({"resize": "lanczos"}, "one of area, linear, cubic, nearest"),
        ({"mean": [127, 127, 127]}, "divide by 255"),
        ({"mean": [0.5, 0.5]}, "three numbers"),
        ({"std": [0, 0.5, 0.5]}, "divide by 255"),
        ({"crop": 2}, "fraction from 0.1 to 1"),
        ({"crop": "half"}, "give a number"),
        ({"colour": "rgb"}, "unknown key 'colour'. Known: height, "),
        ({"corp": 1}, "unknown key 'corp'. Did you mean crop?"),
    ],
)
def test_input_spec_with_wrong_value_says_what_is_wrong(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        spec(**changes)


def test_input_spec_without_keys_names_all_of_them() -> None:
    with pytest.raises(ConfigError, match="has no height, resize"):
        InputSpec.from_dict({k: v for k, v in CARD.items() if k not in {"height", "resize"}})


def test_input_spec_survives_json() -> None:
    assert InputSpec.from_dict(spec(crop=0.65).to_dict()) == spec(crop=0.65)
