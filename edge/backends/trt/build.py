"""Builds an engine plan from a bundle's TensorRT graph: for this GPU, or for other machines'.

The graph itself says what runs in which precision (Q/DQ pairs, FP16 tensors); TensorRT 10 and
later keep to it. TensorRT 8 chooses itself, among the precisions that its flags allow.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edge.backends.trt.library import Library, Messages
from edge.backends.trt.monitor import build_monitor
from edge.backends.trt.plan import (
    AMPERE_PLUS,
    MAX_BATCH,
    SAME_CAPABILITY,
    SAME_GPU,
    Machine,
    PlanRecord,
    this_os,
)
from edge.backends.trt.targets import require_targets
from edge.backends.trt.timing import build_with_timings
from edge.errors import BackendError, BundleError
from edge.text.progress import OnProgress

# TensorRT picks the kernels that are fastest at this batch size: the daemon's workers label as many
# images at once when there is a backlog.
OPTIMUM_BATCH: Final = 16
# The convolutions of a cell classifier need about 10 MB; the limit leaves memory to other programs.
WORKSPACE_BYTES: Final = 1 << 30
# TensorRT's own kernels only, so that a plan does not need cuBLAS or cuDNN, which another machine
# may lack. They are named because the defaults are unclear: the release notes of 8.6 say that
# cuBLAS and cuDNN are off, the bindings of 8.6.1 say that they are on.
TACTIC_SOURCES: Final = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")

UNTRIED_NOTE: Final = "built without a GPU: it was never run and its speed is not known"
UNTRIED_INT8_NOTE: Final = (
    "whether tensorrt-rtx computes INT8 convolutions in INT8 is not known without a GPU"
)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What to build.

    Attributes:
        targets: compute capabilities of other machines, such as `8.6` (TensorRT for RTX only);
            empty for the GPU of this machine.
        portability: one of `plan.PORTABILITIES`. A plan for more GPUs may use fewer of the
            kernels that are fast on one of them (TensorRT only).
        version_compatible: newer TensorRT of the same major version can run the plan too; the
            plan then contains a copy of the lean runtime.
        timing_cache: file with kernel timings of earlier builds; makes the next build faster.
        level: how long the library searches for fast kernels, 0 to 5; None for its default.
        allows_fp16: whether layers of an INT8 engine that are not quantized may run in FP16
            (TensorRT 8 only; newer ones follow the graph).
        tactic_sources: the libraries that kernels may come from (TensorRT 8 only).
    """

    precision: str
    max_batch: int = MAX_BATCH
    targets: tuple[str, ...] = ()
    portability: str = SAME_GPU
    version_compatible: bool = False
    timing_cache: Path | None = None
    level: int | None = None
    allows_fp16: bool = True
    tactic_sources: tuple[str, ...] = TACTIC_SOURCES


@dataclass(frozen=True, slots=True)
class Plan:
    """A serialised engine and how it was built.

    `graph` is the plan's file in the bundle, or the file of the graph that it was built from here;
    empty if neither is in a bundle.
    """

    content: bytes
    record: PlanRecord
    graph: str = ""


def build_plan(
    library: Library,
    graph: bytes,
    options: BuildOptions,
    machine: Machine | None,
    on_progress: OnProgress,
) -> Plan:
    """Build a plan.

    Args:
        graph: ONNX, uint8 images (batch, height, width, 3) in, logits (batch, classes) out.
        machine: the machine that builds; None if it has no GPU.
        on_progress: called with (step, done, total), also from threads of the library.

    Raises:
        BundleError: the library cannot read the graph.
        BackendError: the library cannot build it, or not for this target; with its reason.
    """
    _require_options(library, options)
    start = time.monotonic()
    messages = Messages(library)
    builder = _builder(library, messages)
    network = _parse(library, builder, messages, graph)
    config = builder.create_builder_config()
    flags = _configure(library, config, options)
    config.add_optimization_profile(_profile(builder, network, options.max_batch))
    monitor = build_monitor(library, f"building {options.precision} engine", on_progress)
    if monitor is not None:
        config.progress_monitor = monitor
    messages.clear()
    # TensorRT for RTX times no kernels during a build.
    timings = None if library.is_rtx else options.timing_cache
    content = build_with_timings(builder, network, config, timings)
    if monitor is not None and monitor.interrupted:
        raise KeyboardInterrupt
    if content is None:
        raise BackendError(_refusal(library, options, messages.reason()))
    plan = bytes(content)
    record = _record(library, options, machine, network, graph, plan)
    return Plan(plan, replace(record, flags=flags, seconds=round(time.monotonic() - start, 1)))


def _require_options(library: Library, options: BuildOptions) -> None:
    """Refuse options that the library does not support, before anything is built."""
    if not library.is_rtx and options.targets:
        raise BackendError(
            f"{library} builds for the GPU of this machine alone. For other machines name "
            "tensorrt-rtx, or build there: edge-convert NAME.edge --engine tensorrt."
        )
    if library.is_rtx and (options.version_compatible or options.portability != SAME_GPU):
        raise BackendError(
            f"{library} has no portability options: name the compute capabilities that the "
            "engine is for, such as tensorrt-rtx:sm86,sm89."
        )
    require_targets(library, options.targets)


def _builder(library: Library, messages: Messages) -> Any:
    try:
        builder = library.module.Builder(messages.logger)
    # The bindings raise TypeError if the library returns no builder.
    except (TypeError, RuntimeError) as error:
        raise BackendError(
            f"{library} cannot start its builder ({messages.reason()}). It needs an NVIDIA GPU "
            "and driver; tensorrt-rtx builds without."
        ) from error
    return builder


def _parse(library: Library, builder: Any, messages: Messages, graph: bytes) -> Any:
    trt = library.module
    flags = trt.NetworkDefinitionCreationFlag
    wanted = ("EXPLICIT_BATCH",) if library.is_weakly_typed else ("STRONGLY_TYPED",)
    # Newer versions lack the flags of modes that have become the only ones.
    bits = sum(1 << int(getattr(flags, name)) for name in wanted if hasattr(flags, name))
    network = builder.create_network(bits)
    parser = trt.OnnxParser(network, messages.logger)
    if not parser.parse(graph):
        errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        reason = " ".join((errors or [messages.reason()])[0].split())[:300]
        raise BundleError(
            f"{library} cannot read the bundle's graph: {reason}. Convert the model again with "
            "this version of edge-convert."
        )
    return network


def _profile(builder: Any, network: Any, max_batch: int) -> Any:
    images = network.get_input(0)
    shape = tuple(images.shape)[1:]
    profile = builder.create_optimization_profile()
    optimum = min(OPTIMUM_BATCH, max_batch)
    profile.set_shape(images.name, (1, *shape), (optimum, *shape), (max_batch, *shape))
    return profile


def _configure(library: Library, config: Any, options: BuildOptions) -> tuple[str, ...]:
    """Set the options and return the names of what was set."""
    trt = library.module
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if options.level is not None:
        config.builder_optimization_level = options.level
    flags: list[str] = []
    if library.is_weakly_typed:
        # TensorRT 8 may run layers of an INT8 plan in FP16 if that is faster.
        flags += ["FP16"] if options.allows_fp16 else []
        flags += ["INT8"] if options.precision == "int8" else []
    if options.version_compatible:
        flags.append("VERSION_COMPATIBLE")
    for name in flags:
        config.set_flag(getattr(trt.BuilderFlag, name))
    if library.is_weakly_typed:
        flags += _configure_version_8(trt, config, options.tactic_sources)
    return (*flags, *_configure_portability(library, config, options))


def _configure_version_8(trt: Any, config: Any, sources: tuple[str, ...]) -> tuple[str, ...]:
    """Set what is default in TensorRT 10; returns the names of the tactic sources."""
    # Without this, version 8 lets only the first context use the optimization profile.
    config.set_preview_feature(trt.PreviewFeature.PROFILE_SHARING_0806, True)  # noqa: FBT003 - the library's own signature
    config.set_tactic_sources(sum(1 << int(getattr(trt.TacticSource, name)) for name in sources))
    return sources


def _configure_portability(library: Library, config: Any, options: BuildOptions) -> tuple[str, ...]:
    trt = library.module
    named = []
    levels = {AMPERE_PLUS: "AMPERE_PLUS", SAME_CAPABILITY: "SAME_COMPUTE_CAPABILITY"}
    if options.portability in levels:
        config.hardware_compatibility_level = _member(
            library, "HardwareCompatibilityLevel", levels[options.portability]
        )
        named.append(levels[options.portability])
    if options.targets:
        config.num_compute_capabilities = len(options.targets)
        for position, target in enumerate(options.targets):
            name = f"SM{target.replace('.', '')}"
            config.set_compute_capability(getattr(trt.ComputeCapability, name), position)
            named.append(name)
    return tuple(named)


def _member(library: Library, enumeration: str, name: str) -> Any:
    member = getattr(getattr(library.module, enumeration, None), name, None)
    if member is None:
        raise BackendError(f"{library} has no {enumeration}.{name}. Update it or leave it out.")
    return member


def _refusal(library: Library, options: BuildOptions, reason: str) -> str:
    targets = " ".join(f"sm{t.replace('.', '')}" for t in options.targets) or "this GPU"
    advice = "Leave the target out or choose another library."
    if "FP32" in reason and "not supported" in reason:
        advice = (
            "The bundle's int8 and fp16 graphs hold no FP32 layers: build from them, or leave "
            "the target out."
        )
    elif "CUDA driver" in reason or "cudaError" in reason:
        advice = "Without a GPU, name targets: tensorrt-rtx:sm86,sm89."
    return f"{library} cannot build the {options.precision} engine for {targets}: {reason} {advice}"


def _record(
    library: Library,
    options: BuildOptions,
    machine: Machine | None,
    network: Any,
    graph: bytes,
    plan: bytes,
) -> PlanRecord:
    layer_type = library.module.LayerType
    kinds = [network.get_layer(i).type for i in range(network.num_layers)]
    here = (machine.compute_capability,) if machine else ()
    return PlanRecord(
        library=library.name,
        library_version=library.version,
        precision=options.precision,
        compute_capabilities=options.targets or here,
        portability=options.portability,
        version_compatible=options.version_compatible,
        os=this_os(),
        gpu=machine.gpu if machine and not options.targets else None,
        driver=machine.driver if machine else None,
        max_batch=options.max_batch,
        graph_sha256=hashlib.sha256(graph).hexdigest(),
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        plan_bytes=len(plan),
        layers=network.num_layers,
        quantize_layers=kinds.count(layer_type.QUANTIZE),
        layer_precisions=None,
        flags=(),
        seconds=0.0,
        notes=_notes(options, machine),
    )


def _notes(options: BuildOptions, machine: Machine | None) -> tuple[str, ...]:
    if machine is not None:
        return ()
    return (UNTRIED_NOTE, *((UNTRIED_INT8_NOTE,) if options.precision == "int8" else ()))
