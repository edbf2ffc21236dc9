"""Build an engine plan from a bundle's TensorRT graph: on this GPU, or for others elsewhere.

What runs in which precision is written in the graph (Q/DQ pairs, FP16 tensors) and is kept by
TensorRT 10 and later. TensorRT 8 is told which precisions it may choose.
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

# Tactics are timed for this many images: a worker of the daemon takes as many from a backlog.
OPTIMUM_BATCH: Final = 16
MAX_BATCH: Final = 64
# Convolutions of a cell classifier need some ten MB; this leaves a small GPU room for others.
WORKSPACE_BYTES: Final = 1 << 30
# The kernels of TensorRT's own. Those of cuBLAS and cuDNN are off by default from 8.6 on by its
# release notes, on by the text of the 8.6.1 bindings, and gone in 11. Named here, a plan does not
# depend on libraries that another machine may lack.
TACTIC_SOURCES: Final = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")

UNTRIED_NOTE: Final = "built without a GPU: it was never run and its speed is not known"
UNTRIED_INT8_NOTE: Final = (
    "whether tensorrt-rtx computes INT8 convolutions in INT8 is not known without a GPU"
)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What to build.

    Attributes:
        targets: compute capabilities of other machines, such as `8.6` (TensorRT for RTX alone);
            none: for the GPU of this machine.
        portability: one of `plan.PORTABILITIES`; more GPUs run a plan with fewer of the kernels
            that are best on one (TensorRT alone).
        version_compatible: newer TensorRT of the same major version runs the plan too; it grows
            by a copy of the lean runtime.
        timing_cache: file that keeps what was timed, so that the next build is faster.
        level: how hard the library searches for fast kernels, 0 to 5; None: its own default.
        allows_fp16: whether a layer of an INT8 engine that is not quantized may run in FP16
            (TensorRT 8 alone; a newer one takes the graph's types).
        tactic_sources: where kernels come from (TensorRT 8 alone).
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

    `graph` is its file in the bundle, or that of the graph it was built from; empty elsewhere.
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
        machine: the GPU that it is built on, None where there is none.
        on_progress: called with (step, done, total), from the library's threads too.

    Raises:
        BundleError: the library cannot read the graph.
        BackendError: it cannot build it, or not for this target; with its own reason.
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
    # TensorRT for RTX times nothing when it builds.
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
    """Refuse what the library does not do, before anything is built."""
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
    # The bindings raise TypeError where the library's factory returns nothing.
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
    # TensorRT 10 and 11 know no other kind of batch, and 11 no other kind of typing.
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
        # A plan of TensorRT 8 for INT8 may fall back to FP16 where that is faster.
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
    """What TensorRT 10 does by itself; returns the names of the tactic sources."""
    # Without it version 8 gives its one optimization profile to the first context alone.
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
