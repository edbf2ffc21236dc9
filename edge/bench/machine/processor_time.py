"""Who used the processors: this process and its children, others, or other guests of the host."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.bench.machine.kernel_files import KernelFiles, folders, text_of

# Columns of the line `cpu` in /proc/stat, in ticks (proc_stat(5)). `guest` is part of `user`.
_USER, _NICE, _SYSTEM, _IDLE, _IOWAIT, _IRQ, _SOFTIRQ, _STEAL = range(8)
_BUSY: Final = (_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ)
# Fields of /proc/PID/stat after the name, counted from 0 (proc_pid_stat(5)).
_PARENT: Final = 1
_OWN_TIMES: Final = slice(11, 15)


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Seconds since the machine started; None where the kernel hides them.

    Args:
        busy_s: of all processors.
        stolen_s: in which the host ran other guests although this one had work.
        all_s: of all processors, idle time included.
        own_s: of this process and of its children, ended or not.
        ran_s: of this process's threads.
        waited_s: in which these threads could have run but had no processor.
    """

    busy_s: float | None
    stolen_s: float | None
    all_s: float | None
    own_s: float
    ran_s: float | None
    waited_s: float | None


def processor_time(files: KernelFiles) -> ProcessorTime:
    """The counts now."""
    ticks = _machine_ticks(files)
    per_second = os.sysconf("SC_CLK_TCK")
    ran_ns, waited_ns = _scheduled_ns(files.proc)
    own = os.times()
    return ProcessorTime(
        busy_s=sum(ticks[column] for column in _BUSY) / per_second if ticks else None,
        stolen_s=ticks[_STEAL] / per_second if ticks else None,
        all_s=sum(ticks) / per_second if ticks else None,
        own_s=sum(own[:4]) + _children_ticks(files.proc) / per_second,
        ran_s=None if ran_ns is None else ran_ns / 1e9,
        waited_s=None if waited_ns is None else waited_ns / 1e9,
    )


def _machine_ticks(files: KernelFiles) -> list[int] | None:
    first, _, _ = (text_of(files.proc / "stat") or "").partition("\n")
    name, *columns = first.split() or [""]
    try:
        ticks = [int(column) for column in columns[: _STEAL + 1]]
    except ValueError:
        return None
    return ticks if name == "cpu" and len(ticks) == _STEAL + 1 else None


def _children_ticks(proc: Path) -> int:
    """Of the living children and theirs; the ended ones are in `os.times` once waited for."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in folders(proc, "[0-9]*"):
        # The name of a process may have spaces and brackets.
        _, bracket, rest = (text_of(folder / "stat") or "").rpartition(")")
        fields = rest.split()
        if not bracket or len(fields) < _OWN_TIMES.stop:
            continue
        parents[int(folder.name)] = int(fields[_PARENT])
        ticks[int(folder.name)] = sum(int(field) for field in fields[_OWN_TIMES])
    family, size = {os.getpid()}, 0
    while len(family) > size:
        size = len(family)
        family |= {child for child, parent in parents.items() if parent in family}
    return sum(ticks[process] for process in family - {os.getpid()})


def _scheduled_ns(proc: Path) -> tuple[int | None, int | None]:
    """Time running and time waiting for a processor, of the threads that live."""
    ran, waited, is_known = 0, 0, False
    for task in folders(proc / "self/task", "[0-9]*"):
        columns = (text_of(task / "schedstat") or "").split()
        if len(columns) >= 2 and columns[0].isdigit() and columns[1].isdigit():
            ran, waited, is_known = ran + int(columns[0]), waited + int(columns[1]), True
    return (ran, waited) if is_known else (None, None)
