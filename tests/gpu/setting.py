"""What the steps of the check share: the bundle, the machine, the engines, the images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge.backends.trt.build import BuildOptions, Plan
from edge.backends.trt.library import Library
from edge.backends.trt.plan import Machine
from edge.backends.trt.plan_cache import PlanCache, PlanRequest
from edge.backends.trt.session import TensorRtSession, open_plan
from edge.bundle import Bundle
from edge.demo.analyzer import drawn_images
from edge.errors import EdgeError

PRECISIONS: Final = ("int8", "fp16")
# Enough that no image stays in the processor's cache by itself.
CELLS: Final = 64
_SEED: Final = 17

ROOT: Final = Path(__file__).parent.parent.parent


class SkippedError(Exception):
    """A step cannot be done here; the text says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a step found: figures as JSON types, lines for a person, and what is wrong."""

    figures: dict[str, Any]
    lines: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        images: how many go end to end.
        rounds: turns of each function that is timed, of 5 calls.
        calls: inferences over which the GPU's memory must stay.
    """

    images: int = 10_000
    rounds: int = 100
    calls: int = 2000


def _say_nothing(_figures: dict[str, Any]) -> None:
    pass


@dataclass(slots=True)
class Setting:
    """One run of the check.

    Attributes:
        work: a folder on the disk whose durability counts, empty at first.
        engines: where engines are kept, also for a later run.
        data: holds `test/CLASS/*.jpg` and perhaps `unlabelled/*.jpg`.
        torch_python: an interpreter with torch.
        proven: precisions whose engine gave the golden images their labels. Of any other engine
            speed and accuracy mean nothing, so that later steps leave it out.
        refused: why an engine did not, by precision.
        on_partial: takes the figures so far of a step that may be cut off.
        end_s: when the step will be cut off, in seconds of `time.monotonic`.
    """

    bundle: Bundle
    library: Library
    machine: Machine
    work: Path
    engines: Path
    data: Path | None = None
    torch_python: str | None = None
    sizes: Sizes = Sizes()
    proven: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    on_partial: Callable[[dict[str, Any]], None] = _say_nothing
    end_s: float = float("inf")

    @property
    def cache(self) -> PlanCache:
        """The engines that the steps share."""
        return PlanCache(self.engines)

    def left_s(self) -> float:
        """Seconds until the step is cut off."""
        return self.end_s - time.monotonic()

    def request(self, precision: str) -> PlanRequest:
        """The engine that the daemon would look for.

        Raises:
            EdgeError: the bundle holds no graph for it.
        """
        is_weak = self.library.is_weakly_typed
        graph = self.bundle.tensorrt_graph(precision, weakly_typed=is_weak)
        if graph is None:
            advice = " (convert it with --tensorrt8)" if is_weak else ""
            raise EdgeError(f"the bundle holds no {precision} graph for {self.library}{advice}")
        content = self.bundle.read(graph.path)
        return PlanRequest(self.library, self.machine, content, BuildOptions(precision), graph.path)

    def plan(self, precision: str) -> Plan:
        """The engine that was built.

        Raises:
            EdgeError: there is none.
        """
        plan = self.cache.find(self.request(precision))
        if plan is None:
            raise EdgeError(f"there is no {precision} engine; see the step that builds it")
        return plan

    def open(self, precision: str) -> TensorRtSession:
        """An engine on the GPU; the caller closes it."""
        plan = self.plan(precision)
        return open_plan(self.library, plan, runtime_cache=self.cache.runtime_cache(plan))

    @contextmanager
    def sessions(self) -> Iterator[dict[str, TensorRtSession]]:
        """All engines that were proven on the GPU, by precision; closed at the end.

        Raises:
            EdgeError: none was proven, or one cannot be opened.
        """
        self.require_engine()
        with ExitStack() as stack:
            opened: dict[str, TensorRtSession] = {}
            for precision in (p for p in PRECISIONS if p in self.proven):
                opened[precision] = self.open(precision)
                stack.callback(opened[precision].close)
            yield opened

    def require_engine(self) -> None:
        """Refuse a step that needs an engine where there is none.

        Raises:
            EdgeError: none was proven.
        """
        if not self.proven:
            raise EdgeError("there is no engine; see the steps that build and check them")

    def cells(self) -> tuple[list[Path], str]:
        """Image files to measure with, and what they are."""
        folder = self.data / "unlabelled" if self.data else None
        real = sorted(folder.glob("*.jpg"))[:CELLS] if folder else []
        if real:
            return real, f"{len(real)} real images"
        return draw(self.work / "cells", CELLS), f"{CELLS} drawn cells"


def draw(folder: Path, count: int) -> list[Path]:
    """Files of drawn cells; those that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04}.jpg" for number in range(count)]
    if not all(path.is_file() for path in paths):
        for path, (_, content) in zip(paths, drawn_images(count, _SEED), strict=True):
            path.write_bytes(content)
    return paths
