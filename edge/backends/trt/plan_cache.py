"""Plans that were built on this machine, kept between starts.

A plan is native code. Only a folder that nobody else may write to is read, and a plan whose hash
is not the recorded one is built again.
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

# Raised when what is built from the same graph changes.
_FORMAT: Final = 3
# Of a plan that did not work right after it was built here.
FAILED_NOTE: Final = "it did not work when it was new"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What decides which plan is needed.

    Attributes:
        graph: ONNX.
        graph_name: its file in the bundle.
    """

    library: Library
    machine: Machine
    graph: bytes
    options: BuildOptions
    graph_name: str = ""

    @property
    def key(self) -> str:
        """SHA-256 over everything that decides what is built."""
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

    `keeps` is False where nothing may be written.
    """

    folder: Path
    keeps: bool = True

    def find(self, request: PlanRequest) -> Plan | None:
        """The plan that was built here before; None where there is none that may be used."""
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
        """Build a plan and keep it in place of an earlier one.

        A folder that cannot be written costs a build at each start, never the start itself.

        Args:
            keeps_timings: use what was timed in earlier builds, and keep what this one times.

        Raises:
            BackendError: it cannot be built here; an earlier one is kept.
            BundleError: the graph cannot be read.
        """
        timing_cache = self.timing_cache(request.library) if keeps_timings else None
        options = replace(request.options, timing_cache=timing_cache)
        plan = build_plan(request.library, request.graph, options, request.machine, on_progress)
        self._write(request, plan)
        return replace(plan, graph=request.graph_name)

    def note_failure(self, request: PlanRequest, plan: Plan) -> None:
        """Remember of a plan that was just built that it does not work, so that it stays the last.

        Otherwise each start would build it again.
        """
        record = replace(plan.record, notes=(*plan.record.notes, FAILED_NOTE))
        self._write(request, replace(plan, record=record))

    def forget_kernels(self, plan: Plan) -> None:
        """Remove what TensorRT for RTX compiled for a plan that does not work."""
        path = self.runtime_cache(plan)
        if path is not None:
            path.unlink(missing_ok=True)

    def runtime_cache(self, plan: Plan) -> Path | None:
        """Where the kernels that TensorRT for RTX compiles for a plan are kept."""
        return self.folder / f"{plan.record.plan_sha256}.kernels" if self._is_usable() else None

    def timing_cache(self, library: Library) -> Path | None:
        """Where a library keeps what it timed; None where others may have written it."""
        return self.folder / f"{library.name}.timing" if self._is_usable() else None

    def is_trusted(self) -> bool:
        """Whether nobody but this user and root can have written what is in the folder."""
        try:
            status = self.folder.stat()
        except OSError:
            return False
        is_ours = status.st_uid in (0, os.geteuid())
        return is_ours and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def plan_path(self, request: PlanRequest) -> Path:
        """Where the plan is kept."""
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
            # The record last: what it describes is there.
            atomic.write_files(
                [(self.plan_path(request), plan.content), (self._record_path(request), record)]
            )
        except (StorageError, OSError):
            return

    def _make_trusted(self) -> None:
        """Make the folder this user's alone, without what others may have put there before."""
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
