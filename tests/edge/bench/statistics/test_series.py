from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.series import series_of


def test_series_id_names_level_mode_and_subject_only_where_the_rest_is_plain() -> None:
    assert series_of([1.0]).id == "image/single_stream/int8"


def test_series_id_with_batch_threads_and_rate_names_each() -> None:
    one = series_of([1.0], images_per_call=8, threads=2, offered_per_second=20.0)
    assert one.id == "image/single_stream/int8/x8/t2/20ps"


@pytest.mark.parametrize(
    "wrong",
    [
        {"turns": np.zeros(3, np.int64)},
        {"starts_ns": np.zeros(1, np.int64)},
        {"stages_ns": {"decode": np.zeros(5, np.int64)}},
    ],
    ids=["turns", "starts", "stages"],
)
def test_series_with_arrays_of_different_lengths_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give as many of each"):
        series_of([1.0, 2.0], **wrong)


def test_series_without_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="arrays of 0, 0, 0 samples"):
        series_of([])
