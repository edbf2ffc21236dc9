"""Whether this process runs in a container, and how much processor time its group may take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.bench.machine.kernel_files import KernelFiles, number_of, pairs, text_of, whole

_MARKS: Final = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}


def container() -> str | None:
    """The kind of container, such as `docker` or `kubernetes`; None outside of one."""
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    # systemd-nspawn, LXC and podman give their name to the first process, systemd to a file.
    named = os.environ.get("container")  # noqa: SIM112 (they write it in small letters)
    if named := named or text_of(Path("/run/systemd/container")):
        return named
    return next((kind for mark, kind in _MARKS.items() if Path(mark).exists()), None)


def cpu_quota(files: KernelFiles) -> float | None:
    """Cores whose time the control group may take; None without a limit, or if it is hidden."""
    limits = [limit for group in _groups(files) if (limit := _limit(group))]
    return round(min(limits), 2) if limits else None


def held_back_us(files: KernelFiles) -> int | None:
    """Microseconds that the quota has kept the control group waiting; None if nobody counts."""
    for group in _groups(files):
        counted = pairs(text_of(group / "cpu.stat"), None)
        if (new := whole(counted.get("throttled_usec"))) is not None:
            return new
        # Version 1 of control groups counts nanoseconds.
        if (old := whole(counted.get("throttled_time"))) is not None:
            return old // 1000
    return None


def _groups(files: KernelFiles) -> Iterator[Path]:
    """The control group of this process and those around it, in both versions; some exist."""
    for line in (text_of(files.proc / "self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = files.sys / "fs/cgroup"
        here = (root / "cpu" if controllers else root) / path.strip("/")
        # Inside a container the path may be the host's, of which the container sees the root only.
        yield from (here, *here.parents[: len(here.relative_to(root).parts)], root)


def _limit(group: Path) -> float | None:
    quota, _, period = (text_of(group / "cpu.max") or "").partition(" ")
    new = _cores(whole(quota), whole(period))
    old = _cores(number_of(group / "cpu.cfs_quota_us"), number_of(group / "cpu.cfs_period_us"))
    return new or old


def _cores(quota_us: int | None, period_us: int | None) -> float | None:
    # -1 stands for no limit in version 1.
    return quota_us / period_us if quota_us and period_us and quota_us > 0 else None
