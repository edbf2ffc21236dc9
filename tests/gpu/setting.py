"""What the steps of the check share: the bundle, the machine, the engines, the images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge.backends.plan import Machine
from edge.backends.plan_cache import PlanCache
from edge.backends.trt import TensorRtSession, open_plan
from edge.backends.trt_build import Plan
from edge.backends.trt_library import Library
from edge.bundle import Bundle
from edge.demo.analyzer import drawn_images
from edge.errors import EdgeError

PRECISIONS: Final = ("int8", "fp16")
# Enough that no image stays in the processor's cache by itself.
CELLS: Final = 64
_SEED: Final = 17


class SkippedError(Exception):
    """A step cannot be done here; the text says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a step found: figures as JSON types, lines for a person, and what is wrong."""

    figures: dict[str, Any]
    lines: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(slots=True)
class Setting:
    """One run of the check.

    Attributes:
        work: an empty folder on the disk whose durability counts.
        data: holds `test/CLASS/*.jpg` and perhaps `unlabelled/*.jpg`.
        torch_python: an interpreter with torch.
        images: how many go end to end.
        rounds: turns of each function that is timed, of 5 calls.
        calls: inferences over which the GPU's memory must stay.
        plans: by precision; the step that builds them fills it.
        refused: why an engine did not give the golden images their labels, by precision. Its speed
            and accuracy mean nothing, so that later steps leave it out.
    """

    bundle: Bundle
    library: Library
    machine: Machine
    work: Path
    data: Path | None
    torch_python: str | None
    images: int
    rounds: int
    calls: int
    plans: dict[str, Plan] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def state_dir(self) -> Path:
        """The daemon's state folder."""
        return self.work / "state"

    @property
    def cache(self) -> PlanCache:
        """Where the daemon will look for engines, so that it need not build them again."""
        return PlanCache(self.state_dir / "engines")

    @contextmanager
    def sessions(self) -> Iterator[dict[str, TensorRtSession]]:
        """All engines that were not refused on the GPU, by precision; closed at the end.

        Raises:
            EdgeError: none was built, or none is right, or one cannot be opened.
        """
        usable = {p: plan for p, plan in self.plans.items() if p not in self.refused}
        if not usable:
            raise EdgeError("there is no engine; see the steps that build and check them")
        with ExitStack() as stack:
            opened = {}
            for precision, plan in usable.items():
                session = open_plan(
                    self.library, plan, runtime_cache=self.cache.runtime_cache(plan)
                )
                stack.callback(session.close)
                opened[precision] = session
            yield opened

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
