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

from edge import atomic
from edge.backends.plan import Machine, PlanRecord, misfits
from edge.backends.trt_build import BuildOptions, Plan, build_plan
from edge.backends.trt_library import Library
from edge.errors import BackendError, BundleError, StorageError
from edge.progress import OnProgress

# Raised when what is built from the same graph changes.
_FORMAT: Final = 2


@dataclass(frozen=True, slots=True)
class PlanCache:
    """A folder of plans, one for each graph, library, GPU and driver.

    `keeps` is False where nothing may be written.
    """

    folder: Path
    keeps: bool = True

    def find_or_build(
        self,
        library: Library,
        graph: bytes,
        options: BuildOptions,
        machine: Machine,
        on_progress: OnProgress,
    ) -> Plan:
        """The plan that fits this machine, built where it is not there.

        A folder that cannot be written costs a build at each start, never the start itself.

        Raises:
            BackendError: it cannot be built here.
            BundleError: the graph cannot be read.
        """
        key = plan_key(library, graph, options, machine)
        plan = self._read(key, library, machine)
        if plan is None:
            timing = self.folder / f"{library.name}.timing" if self.keeps else None
            options = replace(options, timing_cache=timing)
            plan = build_plan(library, graph, options, machine, on_progress)
            if self.keeps:
                self._write(key, plan)
        return plan

    def runtime_cache(self, plan: Plan) -> Path | None:
        """Where the kernels that TensorRT for RTX compiles for a plan are kept."""
        if not self.keeps or (self.folder.exists() and not self.is_trusted()):
            return None
        return self.folder / f"{plan.record.plan_sha256}.kernels"

    def is_trusted(self) -> bool:
        """Whether nobody but this user and root can have written what is in the folder."""
        try:
            status = self.folder.stat()
        except OSError:
            return False
        is_ours = status.st_uid in (0, os.geteuid())
        return is_ours and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def _read(self, key: str, library: Library, machine: Machine) -> Plan | None:
        if not self.is_trusted():
            return None
        try:
            record = PlanRecord.from_dict(json.loads(self._record_path(key).read_bytes()))
            content = self._plan_path(key).read_bytes()
        except (OSError, ValueError, TypeError, BundleError):
            return None
        if hashlib.sha256(content).hexdigest() != record.plan_sha256:
            return None
        return None if misfits(record, machine, library) else Plan(content, record)

    def _write(self, key: str, plan: Plan) -> None:
        record = json.dumps(plan.record.to_dict(), indent=1).encode()
        try:
            self._make_trusted()
            # The record last: what it describes is there.
            atomic.write_files(
                [(self._plan_path(key), plan.content), (self._record_path(key), record)]
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

    def _plan_path(self, key: str) -> Path:
        return self.folder / f"{key}.plan"

    def _record_path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


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


def plan_key(library: Library, graph: bytes, options: BuildOptions, machine: Machine) -> str:
    """SHA-256 over everything that decides what is built."""
    parts = [
        _FORMAT,
        hashlib.sha256(graph).hexdigest(),
        (library.name, library.version),
        (machine.gpu, machine.compute_capability, machine.driver, machine.os),
        (options.precision, options.max_batch, options.portability, options.version_compatible),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
