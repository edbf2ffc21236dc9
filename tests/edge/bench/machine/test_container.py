from __future__ import annotations

from pathlib import Path

import pytest

from edge.bench.machine.container import container, cpu_quota, held_back_us
from tests.support.kernel_tree import kernel_tree

UNIFIED = "0::/system.slice/edge-daemon.service\n"
FIRST_VERSION = "9:name=systemd:/\n4:cpu,cpuacct:/docker/abc\n2:memory:/docker/abc\n"
GROUP = "sys/fs/cgroup/system.slice/edge-daemon.service"


@pytest.mark.parametrize(
    ("quota", "cores"), [("150000 100000\n", 1.5), ("max 100000\n", None), ("broken\n", None)]
)
def test_quota_of_a_unit_is_read_in_cores(tmp_path: Path, quota: str, cores: float | None) -> None:
    files = kernel_tree(tmp_path, {"proc/self/cgroup": UNIFIED, f"{GROUP}/cpu.max": quota})
    assert cpu_quota(files) == cores


def test_quota_of_a_slice_around_the_unit_counts_if_it_is_smaller(tmp_path: Path) -> None:
    files = kernel_tree(
        tmp_path,
        {
            "proc/self/cgroup": UNIFIED,
            f"{GROUP}/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/system.slice/cpu.max": "50000 100000\n",
        },
    )
    assert cpu_quota(files) == 0.5


@pytest.mark.parametrize(("quota", "cores"), [("50000\n", 0.5), ("-1\n", None)])
def test_quota_of_the_first_version_in_a_container_is_at_the_root(
    tmp_path: Path, quota: str, cores: float | None
) -> None:
    files = kernel_tree(
        tmp_path,
        {
            "proc/self/cgroup": FIRST_VERSION,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": quota,
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cpu_quota(files) == cores


def test_time_held_back_is_microseconds_in_both_versions(tmp_path: Path) -> None:
    new = kernel_tree(
        tmp_path / "new",
        {
            "proc/self/cgroup": UNIFIED,
            f"{GROUP}/cpu.stat": "usage_usec 900\nnr_throttled 3\nthrottled_usec 4500\n",
        },
    )
    old = kernel_tree(
        tmp_path / "old",
        {
            "proc/self/cgroup": FIRST_VERSION,
            "sys/fs/cgroup/cpu/docker/abc/cpu.stat": "nr_throttled 3\nthrottled_time 4500000\n",
        },
    )
    assert held_back_us(new) == 4500
    assert held_back_us(old) == 4500


def test_quota_and_time_held_back_are_unknown_where_all_is_hidden(tmp_path: Path) -> None:
    files = kernel_tree(tmp_path, {})
    assert cpu_quota(files) is None
    assert held_back_us(files) is None


def test_container_is_named_by_kubernetes_or_by_what_started_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("container", "systemd-nspawn")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert container() == "systemd-nspawn"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert container() == "kubernetes"
