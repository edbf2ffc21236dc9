from __future__ import annotations

import numpy as np
import pytest

from edge.bench.statistics.blocks import block_labels, blocks_of, turns_of
from tests.support.series import series_of


@pytest.mark.parametrize(
    ("count", "turn", "blocks"),
    [
        (600, 5, 20),  # 120 turns are joined
        (45, 1, 12),  # turns of one sample too, so that a block has a few
        (7, 1, 7),  # runs over all images: few, and each is a block
        (2000, 1000, 20),  # two long turns are cut
        (200, 10, 20),
        (12, 6, 2),
        (1, 1, 1),
    ],
)
def test_blocks_are_at_most_twenty_and_not_too_short(count: int, turn: int, blocks: int) -> None:
    labels = block_labels(series_of(np.full(count, 2.0), turn=turn))
    assert np.unique(labels).tolist() == list(range(blocks))
    assert (np.diff(labels) >= 0).all()


def test_blocks_of_bursts_are_whole_bursts() -> None:
    series = series_of(np.full(400, 2.0), turn=200, mode="burst")
    assert block_labels(series).tolist() == [0] * 200 + [1] * 200


def test_blocks_keep_turns_whole_where_there_are_enough() -> None:
    series = series_of(np.full(500, 2.0), turn=10)
    labels = block_labels(series)
    for turn in range(50):
        assert len(np.unique(labels[series.turns == turn])) == 1


def test_rates_of_blocks_do_not_count_the_turns_of_others() -> None:
    # Each turn of 10 calls of 2 ms is followed by 80 ms of another subject.
    starts_ns = (np.arange(300) * 2 + np.arange(300) // 10 * 80) * 1_000_000
    series = series_of(np.full(300, 2.0), turn=10, starts_ns=starts_ns)
    assert blocks_of(series).images_per_second == pytest.approx(500.0)
    assert turns_of(series).images_per_second == pytest.approx(500.0)


def test_rates_of_blocks_of_workers_count_all_of_them() -> None:
    # Two workers at once: 100 calls of 2 ms each in 200 ms.
    starts_ns = np.tile(np.arange(100) * 2_000_000, 2)
    series = series_of(np.full(200, 2.0), turn=200, mode="offline", starts_ns=starts_ns)
    assert blocks_of(series).images_per_second == pytest.approx(1000.0)


def test_turns_are_all_there_however_many() -> None:
    assert len(turns_of(series_of(np.full(600, 2.0))).medians_ns) == 120
