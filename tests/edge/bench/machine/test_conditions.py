from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edge.bench.machine.conditions import Conditions, watch
from tests.support.kernel_tree import kernel_tree

CALM = Conditions(
    seconds=60.0,
    cores=4,
    other_load=0.1,
    steal_percent=0.0,
    waited_percent=0.1,
    frequency_min_mhz=3300,
    frequency_max_mhz=3400,
    throttled=0,
    held_back_ms=0.0,
    gpu_slowed_by=(),
    major_faults=0,
    clock_set_s=0.01,
    slept_s=0.0,
)
CPU = "sys/devices/system/cpu"


def test_conditions_of_a_calm_machine_have_no_reasons() -> None:
    assert CALM.reasons() == ()


def test_conditions_of_which_nothing_is_known_have_no_reasons() -> None:
    unknown = replace(
        CALM,
        other_load=None,
        steal_percent=None,
        waited_percent=None,
        frequency_min_mhz=None,
        frequency_max_mhz=None,
        throttled=None,
        held_back_ms=None,
    )
    assert unknown.reasons() == ()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"throttled": 3}, "the processor was hot and slowed down 3 times"),
        ({"gpu_slowed_by": ("thermal slowdown",)}, "the GPU was slowed down by: thermal slowdown"),
        ({"steal_percent": 12.0}, "the host gave 12 % of the processor time to other guests"),
        ({"slept_s": 7.2}, "the machine slept for 7.2 s meanwhile"),
        ({"other_load": 2.0}, "other processes used 2.0 of 4 cores"),
    ],
    ids=["heat", "gpu", "steal", "sleep", "load"],
)
def test_conditions_that_spoil_figures_are_disqualifying(
    fields: dict[str, float], reason: str
) -> None:
    found = replace(CALM, **fields)  # type: ignore[arg-type]
    assert found.disqualifying() == (reason,)
    assert found.reasons() == (reason,)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"other_load": 1.26}, "other processes used 1.3 of 4 cores"),
        ({"steal_percent": 4.0}, "the host gave 4 % of the processor time to other guests"),
        ({"waited_percent": 8.4}, "this process waited 8 % of its time for a processor"),
        ({"frequency_min_mhz": 1800}, "the processor ran at 1,800 to 3,400 MHz"),
        ({"gpu_slowed_by": ("power cap",)}, "the GPU ran at its power limit"),
        ({"held_back_ms": 2400.0}, "its quota of processor time held it back for 2,400 ms"),
        ({"major_faults": 40}, "40 pages of memory were read from the disk meanwhile"),
        ({"clock_set_s": -3600.0}, "the clock was set by -3600.0 s meanwhile"),
    ],
    ids=["load", "steal", "wait", "frequency", "power", "quota", "faults", "clock"],
)
def test_conditions_that_disturb_are_reasons_and_do_not_disqualify(
    fields: dict[str, float], reason: str
) -> None:
    found = replace(CALM, **fields)  # type: ignore[arg-type]
    assert found.reasons() == (reason,)
    assert found.disqualifying() == ()


def test_conditions_as_json_hold_the_reasons() -> None:
    found = replace(CALM, throttled=2).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["reasons"] == ["the processor was hot and slowed down 2 times"]


def test_watch_with_both_trees_hidden_still_counts_time_and_faults(tmp_path: Path) -> None:
    with watch(files=kernel_tree(tmp_path, {})) as watched:
        watched.look()
    found = watched.conditions()
    assert (found.other_load, found.steal_percent, found.waited_percent) == (None, None, None)
    assert (found.throttled, found.held_back_ms, found.frequency_min_mhz) == (None, None, None)
    assert found.seconds >= 0
    assert found.major_faults >= 0


def test_watch_sees_load_stolen_time_heat_and_frequency_between_its_ends(tmp_path: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    tree = {
        "proc/stat": "cpu 1000 0 0 1000 0 0 0 0\n",
        f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "5\n",
        f"{CPU}/cpu0/thermal_throttle/package_throttle_count": "7\n",
        f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "0\n",
        f"{CPU}/cpu1/thermal_throttle/package_throttle_count": "7\n",
    }
    files = kernel_tree(tmp_path, tree)
    frequency = {
        f"{CPU}/cpu{core}/cpufreq/scaling_cur_freq": "3400000\n" for core in os.sched_getaffinity(0)
    }
    with watch(files=files) as watched:
        kernel_tree(tmp_path, frequency)
        watched.look()
        kernel_tree(
            tmp_path,
            {
                "proc/stat": f"cpu {1000 + 1000 * ticks} 0 0 1000 0 0 0 {1000 * ticks}\n",
                f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "6\n",
                f"{CPU}/cpu0/thermal_throttle/package_throttle_count": "9\n",
                **dict.fromkeys(frequency, "1700000\n"),
            },
        )
    found = watched.conditions()
    # 1,000 s of others' work in the instant of this test.
    assert found.other_load is not None
    assert found.other_load > 100
    assert found.steal_percent == 50.0
    assert found.throttled == 3
    assert (found.frequency_min_mhz, found.frequency_max_mhz) == (1700, 3400)


def test_watch_looked_at_again_and_again_reads_the_files_once_in_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = [f"{CPU}/cpu{core}/cpufreq/scaling_cur_freq" for core in os.sched_getaffinity(0)]
    now_s = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    files = kernel_tree(tmp_path, dict.fromkeys(cores, "3400000\n"))
    with watch(files=files) as watched:
        watched.look()
        kernel_tree(tmp_path, dict.fromkeys(cores, "800000\n"))
        now_s[0] += 0.2
        watched.look()
        assert watched.conditions().frequency_min_mhz == 3400
        now_s[0] += 0.1
        watched.look()
        assert watched.conditions().frequency_min_mhz == 800


def test_watch_with_counters_that_fall_takes_them_as_unchanged(tmp_path: Path) -> None:
    files = kernel_tree(tmp_path, {"proc/stat": "cpu 1000 0 0 1000 0 0 0 500\n"})
    with watch(files=files) as watched:
        kernel_tree(tmp_path, {"proc/stat": "cpu 900 0 0 1000 0 0 0 400\n"})
    found = watched.conditions()
    assert found.other_load == 0.0
    assert found.steal_percent is None


def test_watch_with_files_that_vanish_says_unknown(tmp_path: Path) -> None:
    files = kernel_tree(tmp_path, {"proc/stat": "cpu 1000 0 0 1000 0 0 0 500\n"})
    with watch(files=files) as watched:
        (tmp_path / "proc/stat").unlink()
    assert watched.conditions().other_load is None


def test_watch_does_not_count_the_work_of_its_own_process_and_child_as_others() -> None:
    work = "import time; e = time.process_time() + 0.6\nwhile time.process_time() < e: pass\n"
    with watch() as watched:
        start_s = time.process_time()
        with subprocess.Popen([sys.executable, "-c", work]):
            while time.process_time() < start_s + 0.6:
                pass
    found = watched.conditions()
    assert found.other_load is not None
    # All cores were busy for less than the whole time, and this test has 1.2 s of it.
    most = os.cpu_count() or 1
    assert found.other_load <= most - 1.1 / found.seconds + 0.1


def test_watch_after_the_clock_was_set_tells_by_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    with watch() as watched:
        monkeypatch.setattr(time, "time", lambda: now() + 3600)
    monkeypatch.undo()
    assert watched.conditions().clock_set_s == pytest.approx(3600, abs=0.5)


def test_watch_over_a_sleep_of_the_machine_tells_it_and_no_set_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, clock = time.time, time.clock_gettime
    with watch() as watched:
        monkeypatch.setattr(time, "time", lambda: now() + 40)
        monkeypatch.setattr(time, "clock_gettime", lambda which: clock(which) + 40)
    monkeypatch.undo()
    found = watched.conditions()
    assert found.slept_s == pytest.approx(40, abs=0.5)
    assert found.clock_set_s == pytest.approx(0, abs=0.5)
    assert any(reason.startswith("the machine slept for 40.") for reason in found.disqualifying())


def test_watch_ended_by_an_error_keeps_its_conditions() -> None:
    with pytest.raises(KeyError), watch() as watched:
        raise KeyError
    assert watched.conditions().seconds >= 0
