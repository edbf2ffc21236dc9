from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.bench.machine.kernel_files import KernelFiles
from edge.bench.machine.processor_time import processor_time
from tests.support.kernel_tree import kernel_tree

TICKS = os.sysconf("SC_CLK_TCK")


def stat_of(parent: int, *ticks: int) -> str:
    """/proc/PID/stat of a process with a name that looks like fields."""
    return f"7 (a b) c) S {parent} 1 1 0 -1 0 0 0 0 0 {' '.join(map(str, ticks))} 20 0 1 0\n"


def test_processor_time_of_the_machine_is_read_by_columns(tmp_path: Path) -> None:
    files = kernel_tree(tmp_path, {"proc/stat": "cpu  100 10 20 500 40 1 2 30 99 9\ncpu0 1 2\n"})
    found = processor_time(files)
    assert found.busy_s == pytest.approx(133 / TICKS)
    assert found.stolen_s == pytest.approx(30 / TICKS)
    assert found.all_s == pytest.approx(703 / TICKS)


@pytest.mark.parametrize("content", ["", "cpu 1 2 3\n", "cpu a b c d e f g h\n", "intr 1\n"])
def test_processor_time_of_a_broken_file_is_unknown(tmp_path: Path, content: str) -> None:
    found = processor_time(kernel_tree(tmp_path, {"proc/stat": content}))
    assert (found.busy_s, found.stolen_s, found.all_s) == (None, None, None)
    assert (found.ran_s, found.waited_s) == (None, None)


def test_processor_time_counts_living_children_and_theirs_as_own(tmp_path: Path) -> None:
    me = os.getpid()
    before = processor_time(kernel_tree(tmp_path / "none", {})).own_s
    files = kernel_tree(
        tmp_path,
        {
            "proc/900001/stat": stat_of(me, 100, 20, 3, 0),
            "proc/900000/stat": stat_of(900001, 1000, 0, 0, 0),
            "proc/900002/stat": stat_of(1, 50_000, 0, 0, 0),
            "proc/900003/stat": "broken",
        },
    )
    assert processor_time(files).own_s - before == pytest.approx(1123 / TICKS, abs=1.0)


def test_processor_time_waiting_is_summed_over_the_threads(tmp_path: Path) -> None:
    files = kernel_tree(
        tmp_path,
        {
            "proc/self/task/1/schedstat": "3000000000 1000000000 9\n",
            "proc/self/task/2/schedstat": "1000000000 500000000 9\n",
            "proc/self/task/3/schedstat": "broken\n",
        },
    )
    found = processor_time(files)
    assert (found.ran_s, found.waited_s) == (4.0, 1.5)


def test_processor_time_of_a_working_child_is_own_before_and_after_its_end() -> None:
    work = "import time; e = time.process_time() + 0.5\nwhile time.process_time() < e: pass\n"
    code = f"{work}print('done', flush=True)\ninput()"
    before = processor_time(KernelFiles()).own_s
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "done\n"
        alive = processor_time(KernelFiles()).own_s
        child.communicate("\n")
    ended = processor_time(KernelFiles()).own_s
    assert alive - before >= 0.45
    assert ended >= alive - 0.05
