from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge.bench.machine.environment import environment, frequency_mhz
from tests.support.kernel_tree import kernel_tree

INTEL = """processor\t: 0
model name\t: Intel(R) Core(TM) i7-1270P
flags\t\t: fpu sse2 avx2 avx_vnni

processor\t: 1
model name\t: Another
flags\t\t: fpu hypervisor
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp\n"


def test_environment_of_this_machine_is_complete_and_json() -> None:
    found = environment()
    assert found.cpu
    assert 1 <= found.cores <= found.cores_online
    assert found.packages["onnxruntime"] != "not installed as a package"
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()


def test_environment_of_a_bare_machine_names_frequency_and_turbo(tmp_path: Path) -> None:
    cores = {
        f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": f"{1200 + core}000\n"
        for core in os.sched_getaffinity(0)
    }
    files = kernel_tree(
        tmp_path,
        {
            "proc/cpuinfo": INTEL,
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
            "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
            **cores,
        },
    )
    found = environment(files)
    assert found.cpu == "Intel(R) Core(TM) i7-1270P"
    assert found.int8_instructions == ("avx_vnni",)
    assert found.frequency_governor == "powersave"
    assert found.frequency_mhz == 1200 + max(os.sched_getaffinity(0))
    assert found.turbo is False
    assert found.virtualised is False


def test_environment_of_an_arm_board_has_the_name_of_the_board(tmp_path: Path) -> None:
    files = kernel_tree(
        tmp_path,
        {"proc/cpuinfo": ARM, "proc/device-tree/model": "NVIDIA Jetson Orin Nano\0"},
    )
    found = environment(files)
    assert found.cpu == "NVIDIA Jetson Orin Nano"
    assert found.int8_instructions == ("asimddp",)


def test_environment_with_both_trees_hidden_says_what_is_unknown(tmp_path: Path) -> None:
    found = environment(kernel_tree(tmp_path, {}))
    assert found.cpu == os.uname().machine
    assert found.int8_instructions == ()
    assert (found.frequency_governor, found.frequency_mhz, found.turbo) == (None, None, None)
    assert found.virtualised is None
    assert found.cpu_quota is None


@pytest.mark.parametrize("content", ["", "unknown\n", "0\n"])
def test_frequency_that_is_no_number_is_unknown(tmp_path: Path, content: str) -> None:
    cores = {
        f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": content
        for core in os.sched_getaffinity(0)
    }
    assert frequency_mhz(kernel_tree(tmp_path, cores)) is None


def test_environment_with_further_packages_names_their_versions() -> None:
    found = environment(packages=("pytest", "no-such-package"))
    assert found.packages["pytest"][0].isdigit()
    assert found.packages["no-such-package"] == "not installed as a package"
