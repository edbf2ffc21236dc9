"""Parses `--engine` and checks that this machine can build what was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from converters.accuracy.gate import Gate
from edge.backends.trt.gpu import find_machine
from edge.backends.trt.library import LIBRARIES, TENSORRT, Library, open_library
from edge.backends.trt.plan import MAX_BATCH, SAME_GPU, Machine
from edge.backends.trt.targets import capability_of, known_targets, require_targets
from edge.errors import BackendError, ConfigError


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """A library and the compute capabilities to build for; empty for the GPU of this machine."""

    library: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How all engines of one run are built; see `edge.backends.trt.build.BuildOptions`."""

    portability: str = SAME_GPU
    version_compatible: bool = False
    max_batch: int = MAX_BATCH
    gate: Gate = field(default_factory=Gate)


@dataclass(frozen=True, slots=True)
class Target:
    """A request whose library was found, with this machine's GPU if the engine is for it."""

    library: Library
    machine: Machine | None
    targets: tuple[str, ...]

    @property
    def is_here(self) -> bool:
        """Whether its engines run on this machine."""
        return self.machine is not None and not self.targets


def parse_request(text: str) -> EngineRequest:
    """`tensorrt`, or `tensorrt-rtx:sm86,sm89`.

    Raises:
        ConfigError: it names no such library.
    """
    name, _, targets = text.partition(":")
    if name not in LIBRARIES:
        raise ConfigError(
            f"--engine {text} names no library; give {' or '.join(LIBRARIES)}, or "
            "tensorrt-rtx:sm86,sm89 for other machines."
        )
    found = [part.strip() for part in targets.split(",") if part.strip()]
    digits = [part.lower().removeprefix("sm").replace(".", "") for part in found]
    wrong = [part for part, number in zip(found, digits, strict=True) if not number.isdigit()]
    if wrong:
        raise ConfigError(f"--engine {text}: {wrong[0]} is no compute capability such as sm86.")
    return EngineRequest(name, tuple(dict.fromkeys(capability_of(part) for part in found)))


def find_targets(requests: list[EngineRequest]) -> list[Target]:
    """Find the libraries and the GPU, before the long work begins.

    Raises:
        BackendError: one is missing, or a library does not build for a target.
    """
    return [_find_target(request) for request in requests]


def _find_target(request: EngineRequest) -> Target:
    library = open_library(request.library)
    if not request.targets and not library.is_rtx:
        return Target(library, find_machine(), ())
    targets = request.targets or known_targets(library)
    if library.is_rtx:
        require_targets(library, targets)
    return Target(library, None, targets)


def local_target() -> Target | str:
    """TensorRT and the GPU of this machine, or the reason why no engine can be built here."""
    try:
        return Target(open_library(TENSORRT), find_machine(), ())
    except BackendError as error:
        return str(error)
