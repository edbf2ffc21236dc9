from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from edge.bench.measure.amount import Amount
from edge.bench.plan import LEVELS, MODES, Plan
from edge.errors import ConfigError
from edge.system.workers import default_workers

AMOUNT = Amount(seconds=1)


def plan(**settings: Any) -> Plan:
    return Plan(**{"levels": ("call",), "mode": "single_stream", "amount": AMOUNT, **settings})


@pytest.mark.parametrize(("level", "mode"), [*product(LEVELS, MODES.values())])
def test_every_level_goes_with_every_mode_but_the_engine_with_arrivals(
    level: str, mode: str
) -> None:
    rate = 20.0 if mode.startswith("open_loop") else None
    one = plan(levels=(level,), mode=mode, rate=rate)
    if level == "engine" and mode not in ("single_stream", "offline"):
        with pytest.raises(ConfigError, match="the engine alone has no queue"):
            one.check()
    else:
        one.check()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mode": "open_loop_constant"}, "an open loop needs its rate: add --rate R"),
        ({"rate": 20.0}, "--rate is for open loops: add --mode open-loop-constant"),
        (
            {"mode": "open_loop_poisson", "rate": 2e6, "amount": Amount(seconds=60)},
            "fewer --seconds",
        ),
        ({"burst": 10}, "add --mode burst"),
        ({"workers": 2}, "leave --workers out"),
        ({"levels": ("file",), "threads": (1, 2)}, "give one value of --threads"),
        ({"levels": ("file",), "batches": (1, 8)}, "leave --batches out, or use --level engine"),
        ({"mode": "burst", "batches": (8,)}, "in a burst images arrive one by one"),
        ({"mode": "burst", "against": ("torch",)}, "--against compares in a single stream"),
        ({"levels": ("call", "file"), "against": ("torch",)}, "only the daemon has a file level"),
        ({"levels": ("engine",), "against": ("torch",)}, "use --level call or image"),
    ],
)
def test_plan_without_meaning_is_refused_in_a_line_that_names_what_to_use(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(**settings).check()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_plan_tells_levels_mode_and_amount_in_a_line() -> None:
    assert plan(levels=("engine", "call", "image")).text == (
        "engine, call and image level, single stream, 1 s after warm-up"
    )
    assert plan(mode="burst", amount=Amount(samples=7)).text == (
        "call level, burst of 200 images, 7 samples"
    )
    assert plan(mode="offline", levels=("call", "file")).text == (
        "call and file level, offline, 1 s after warm-up, at least 6 passes and 7 rounds of the "
        "daemon of each series"
    )
    assert plan(mode="open_loop_poisson", rate=20.5).text == (
        "call level, open loop poisson at 20.5 images/s, 1 s after warm-up"
    )


def test_plan_serves_as_many_at_once_as_the_daemon_unless_told_otherwise() -> None:
    assert plan().served_at_once == 1
    assert plan(mode="offline").served_at_once == default_workers()
    assert plan(mode="offline", workers=5).served_at_once == 5
