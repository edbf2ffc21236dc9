"""What a person reads of speed at the end of a conversion."""

from __future__ import annotations

import numpy as np
import pytest

from converters.console import speed_lines
from edge.backends.interleave import Latencies


def latencies(**medians_ms: float) -> dict[str, Latencies]:
    return {name: Latencies(np.full(3, median)) for name, median in medians_ms.items()}


def test_speed_lines_where_fp32_wins_say_that_int8_brings_nothing() -> None:
    first, second, third = speed_lines(latencies(fp32=4.0, int8=5.0))
    assert first.startswith("INT8 is 0.80 times as fast as FP32 here")
    assert second.startswith("INT8 brings nothing here: FP32 is faster")
    assert third == "a machine that opens the bundle times both again"


@pytest.mark.parametrize("int8", [4.0, 2.0])
def test_speed_lines_where_int8_is_not_slower_tell_the_gain_alone(int8: float) -> None:
    (line,) = speed_lines(latencies(fp32=4.0, int8=int8))
    assert line.startswith(f"INT8 is {4 / int8:.2f} times as fast as FP32 here")


def test_speed_lines_of_a_cpu_without_vnni_are_those_of_its_own_graph() -> None:
    (line,) = speed_lines({**latencies(fp32=4.0), "int8.7bit": Latencies(np.full(3, 2.0))})
    assert line.startswith("INT8 is 2.00 times as fast as FP32 here")


def test_speed_lines_without_an_int8_graph_are_none() -> None:
    assert speed_lines(latencies(fp32=4.0)) == []
