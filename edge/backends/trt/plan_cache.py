"""Stores plans that were built on this machine, for later starts.

A plan is native code. So the folder is read only if no other user may write to it, and a plan whose
hash differs from its record is built again.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edge.backends.trt.build import BuildOptions, Plan, build_plan
from edge.backends.trt.library import Library
from edge.backends.trt.plan import Machine, PlanRecord, misfits
from edge.errors import BackendError, BundleError, StorageError
from edge.files import atomic
from edge.files.strict_json import read_json
from edge.text.progress import OnProgress

# Part of the key. Increase it when the code builds another plan from the same graph.
_FORMAT: Final = 3
# Marks a plan that failed right after it was built here.
FAILED_NOTE: Final = "it did not work when it was new"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Everything that determines which plan is needed.

    Attributes:
        graph: the ONNX graph, serialised.
        graph_name: the graph's file in the bundle.
    """

    library: Library
    machine: Machine
    graph: bytes
    options: BuildOptions
    graph_name: str = ""

    @property
    def key(self) -> str:
        """Hexadecimal key over everything that determines the plan: a SHA-256, cut to 32 digits."""
        library, machine, options = self.library, self.machine, self.options
        parts = [
            _FORMAT,
            hashlib.sha256(self.graph).hexdigest(),
            (library.name, library.version),
            (machine.gpu, machine.compute_capability, machine.driver, machine.os),
            (options.precision, options.max_batch, options.portability, options.version_compatible),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class PlanCache:
    """A folder of plans, one for each graph, library, GPU and driver.

    If `keeps` is False, nothing is written.
    """

    folder: Path
    keeps: bool = True

    def find(self, request: PlanRequest) -> Plan | None:
        """The stored plan; None if there is none, or none that may be used."""
        if not self.is_trusted():
            return None
        try:
            record = PlanRecord.from_dict(read_json(self._record_path(request)))
            content = self.plan_path(request).read_bytes()
        except (OSError, ValueError, TypeError, BundleError):
            return None
        if hashlib.sha256(content).hexdigest() != record.plan_sha256:
            return None
        if misfits(record, request.machine, request.library):
            return None
        return Plan(content, record, request.graph_name)

    def build(
        self, request: PlanRequest, on_progress: OnProgress, *, keeps_timings: bool = True
    ) -> Plan:
        """Build a plan and store it in place of an earlier one.

        If the folder cannot be written, the plan is still returned; it is then built at each start.

        Args:
            keeps_timings: use the kernel timings of earlier builds, and store those of this one.

        Raises:
            BackendError: it cannot be built here; an earlier plan stays in the cache.
            BundleError: the graph cannot be read.
        """
        timing_cache = self.timing_cache(request.library) if keeps_timings else None
        options = replace(request.options, timing_cache=timing_cache)
        plan = build_plan(request.library, request.graph, options, request.machine, on_progress)
        self._write(request, plan)
        return replace(plan, graph=request.graph_name)

    def note_failure(self, request: PlanRequest, plan: Plan) -> None:
        """Record that a newly built plan does not work, so that later starts do not rebuild it."""
        record = replace(plan.record, notes=(*plan.record.notes, FAILED_NOTE))
        self._write(request, replace(plan, record=record))

    def forget_kernels(self, plan: Plan) -> None:
        """Remove the kernels that TensorRT for RTX compiled for a plan that does not work."""
        path = self.runtime_cache(plan)
        if path is not None:
            path.unlink(missing_ok=True)

    def runtime_cache(self, plan: Plan) -> Path | None:
        """The file with the kernels that TensorRT for RTX compiled for a plan; None: do not use."""
        return self.folder / f"{plan.record.plan_sha256}.kernels" if self._is_usable() else None

    def timing_cache(self, library: Library) -> Path | None:
        """The file with a library's kernel timings; None if other users may have written it."""
        return self.folder / f"{library.name}.timing" if self._is_usable() else None

    def is_trusted(self) -> bool:
        """Whether only this user and root can have written to the folder."""
        try:
            status = self.folder.stat()
        except OSError:
            return False
        is_ours = status.st_uid in (0, os.geteuid())
        return is_ours and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def plan_path(self, request: PlanRequest) -> Path:
        """The file in which the plan is stored."""
        return self.folder / f"{request.key}.plan"

    def _record_path(self, request: PlanRequest) -> Path:
        return self.folder / f"{request.key}.json"

    def _is_usable(self) -> bool:
        """Whether files beside the plans may be read and written."""
        return self.keeps and (not self.folder.exists() or self.is_trusted())

    def _write(self, request: PlanRequest, plan: Plan) -> None:
        if not self.keeps:
            return
        record = json.dumps(plan.record.to_dict(), indent=1).encode()
        try:
            self._make_trusted()
            # The record comes last: when it exists, the plan that it describes exists.
            atomic.write_files(
                [(self.plan_path(request), plan.content), (self._record_path(request), record)]
            )
        except (StorageError, OSError):
            return

    def _make_trusted(self) -> None:
        """Make the folder private to this user; empty it first if others could write to it."""
        if self.folder.exists() and not self.is_trusted():
            for path in self.folder.iterdir():
                path.unlink()
        atomic.make_folder(self.folder)
        self.folder.chmod(0o700)


def default_folder() -> Path:
    """`$XDG_CACHE_HOME/microscope-edge/engines`, by default below the home folder.

    Raises:
        BackendError: there is no home folder.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise BackendError(
            "there is no folder for engines: this user has no home folder. Set XDG_CACHE_HOME."
        ) from error
    return Path(base) / "microscope-edge" / "engines"
