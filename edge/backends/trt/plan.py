"""The record of an engine plan, and whether the plan fits a machine.

A plan is native code for one library version, GPU and operating system. TensorRT refuses some
unfit plans only after it has begun to run them, so everything is checked before.
"""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from edge.backends.trt.library import Library
from edge.errors import BundleError

SCHEMA: Final = "edge-plan/1"

SAME_GPU: Final = "same-gpu"
SAME_CAPABILITY: Final = "same-compute-capability"
AMPERE_PLUS: Final = "ampere-plus"
PORTABILITIES: Final = (SAME_GPU, SAME_CAPABILITY, AMPERE_PLUS)
MAX_BATCH: Final = 64

# The fields of a record that must be texts.
_TEXTS: Final = ("library", "library_version", "precision", "os", "plan_sha256")
# Larger values in a record are taken for damage.
_LARGEST_BATCH: Final = 4096


@dataclass(frozen=True, slots=True)
class Machine:
    """The GPU that plans are built for and run on.

    Attributes:
        gpu: its product name.
        compute_capability: such as `8.9`.
        driver: release of the NVIDIA driver.
        os: operating system and processor, such as `linux-x86_64`.
    """

    gpu: str
    compute_capability: str
    driver: str
    os: str


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """How a plan was built; stored beside the plan as JSON.

    Attributes:
        compute_capabilities: those of the GPUs that it was built for.
        portability: one of `PORTABILITIES`.
        version_compatible: whether newer libraries of the same major version run it too.
        gpu: the GPU on which it was built and timed; None if it was built without one.
        max_batch: the most images in one call.
        graph_sha256: hash of the ONNX graph that it was built from.
        layers: number of layers before the library fused them.
        quantize_layers: how many of these layers quantize to INT8.
        layer_precisions: number of layers of the finished engine by output type; None if there
            was no GPU on which the engine could be inspected.
    """

    library: str
    library_version: str
    precision: str
    compute_capabilities: tuple[str, ...]
    portability: str
    version_compatible: bool
    os: str
    gpu: str | None
    driver: str | None
    max_batch: int
    graph_sha256: str
    plan_sha256: str
    plan_bytes: int
    layers: int
    quantize_layers: int
    layer_precisions: dict[str, int] | None
    flags: tuple[str, ...]
    seconds: float
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON types."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Any) -> PlanRecord:
        """Read a record.

        Raises:
            BundleError: it is no record, or of another schema, or damaged.
        """
        if not isinstance(values, dict) or values.get("schema") != SCHEMA:
            raise BundleError(f"a plan's record has no schema {SCHEMA}. Build the engine again.")
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in values]
        if missing:
            raise BundleError(f"a plan's record has no {missing[0]}. Build the engine again.")
        kept = {name: values[name] for name in names}
        for name in ("compute_capabilities", "flags", "notes"):
            kept[name] = tuple(kept[name])
        texts = (*(kept[name] for name in _TEXTS), *kept["compute_capabilities"])
        if not all(isinstance(text, str) for text in texts) or not _is_batch(kept["max_batch"]):
            raise BundleError("a plan's record is damaged. Build the engine again.")
        return cls(**kept)


def _is_batch(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST_BATCH


def this_os() -> str:
    """Operating system and processor of this machine."""
    return f"{platform.system()}-{platform.machine()}".lower()


def misfits(record: PlanRecord, machine: Machine, library: Library) -> list[str]:
    """The reasons why the plan cannot run here; empty if it can."""
    found = []
    if record.library != library.name:
        found.append(f"it is for {record.library}, not {library.name}")
    elif not _fits_version(record, library):
        found.append(f"it is for {record.library} {record.library_version}, here is {library}")
    if not _fits_capability(record, machine):
        found.append(
            f"it is for compute capability {' '.join(record.compute_capabilities)}, "
            f"{machine.gpu} has {machine.compute_capability}"
        )
    elif record.portability == SAME_GPU and record.gpu not in (None, machine.gpu):
        found.append(f"it is for {record.gpu}, here is {machine.gpu}")
    if record.os != machine.os:
        found.append(f"it is for {record.os}, here is {machine.os}")
    return found


def _fits_version(record: PlanRecord, library: Library) -> bool:
    if not record.version_compatible:
        return record.library_version == library.version
    built, here = _numbers(record.library_version), _numbers(library.version)
    return built[:1] == here[:1] and built <= here


def _fits_capability(record: PlanRecord, machine: Machine) -> bool:
    if record.portability == AMPERE_PLUS:
        return _numbers(machine.compute_capability) >= (8, 0)
    return machine.compute_capability in record.compute_capabilities


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
