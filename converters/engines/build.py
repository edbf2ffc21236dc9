"""Builds engine plans for a bundle, and checks those that can run on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from converters.accuracy.comparison import CANDIDATE, Evidence, Logits, Validation, label_all
from converters.accuracy.gate import Gate, judge, missed_limits
from converters.bundle.writer import BundleWriter, to_json
from converters.engines.request import EngineOptions, Target
from edge.backends.interleave import Latencies, interleave
from edge.backends.onnx import open_onnx
from edge.backends.trt.build import BuildOptions, Plan, build_plan
from edge.backends.trt.library import Library
from edge.backends.trt.plan_cache import PlanCache, default_folder
from edge.backends.trt.session import TensorRtSession, open_plan
from edge.bundle import Bundle, load_bundle
from edge.errors import BackendError, DeviceError
from edge.files import atomic
from edge.golden import check_session, open_labeller
from edge.manifest import ROLE_ENGINE, ROLE_RECORD
from edge.session import InferenceSession
from edge.text.progress import OnProgress

PRECISIONS: Final = ("int8", "fp16")
# A single image, and the number that a worker labels at once when there is a backlog.
TIMED_BATCHES: Final = (1, 16)
TIMING_ROUNDS: Final = 20


@dataclass(slots=True)
class Engine:
    """One engine and the results of its checks.

    Attributes:
        problem: why it is left out of the bundle; None if it is not.
        was_judged: whether the accuracy gate was applied, which needs validation images.
        accuracy: on the validation images, if they have labels.
        latencies: by batch size, timed in turns with the other precision.
    """

    plan: Plan
    problem: str | None = None
    was_judged: bool = False
    accuracy: str | None = None
    latencies: dict[int, Latencies] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineChecks:
    """What the engines for this machine are checked with."""

    bundle: Bundle
    validation: Validation | None
    gate: Gate
    on_progress: OnProgress


def add_engines(
    root: Path,
    targets: list[Target],
    options: EngineOptions,
    validation: Validation | None,
    on_progress: OnProgress,
) -> list[Engine]:
    """Build INT8 and FP16 engines from a bundle's graphs and add them to the bundle.

    Engines of an earlier run for the same library are replaced. An engine that runs here must label
    the golden images correctly and, if there are validation images, pass the gate; otherwise it is
    left out.

    Args:
        root: the bundle; it is unchanged if anything fails.
        validation: images for the accuracy gate on engines of this machine.

    Raises:
        BackendError: a library refuses a target, or no engine is good enough.
        BundleError: the bundle has no graph that the library reads.
        StorageError: the disk refuses.
    """
    bundle = load_bundle(root)
    checks = EngineChecks(bundle, validation, options.gate, on_progress)
    engines: list[Engine] = []
    for target in targets:
        built = [_build(bundle, target, p, options, on_progress) for p in _held(bundle, target)]
        if target.is_here:
            _check_here(checks, target.library, built)
        engines += built
    kept = [engine.plan for engine in engines if engine.problem is None]
    if not kept:
        raise BackendError(f"no engine was added to {root}: {engines[0].problem}")
    _write(bundle, kept)
    return engines


def _held(bundle: Bundle, target: Target) -> list[str]:
    weakly_typed = target.library.is_weakly_typed
    held = [p for p in PRECISIONS if bundle.tensorrt_graph(p, weakly_typed=weakly_typed)]
    if not held:
        raise BackendError(
            f"{bundle.root.name} holds no graph for {target.library}. Convert the model again with "
            "edge-convert --int8" + (" --tensorrt8." if weakly_typed else ".")
        )
    return held


def _build(
    bundle: Bundle,
    target: Target,
    precision: str,
    options: EngineOptions,
    on_progress: OnProgress,
) -> Engine:
    library = target.library
    graph = bundle.tensorrt_graph(precision, weakly_typed=library.is_weakly_typed)
    assert graph is not None, "only precisions that are held are built"  # noqa: S101
    build = BuildOptions(
        precision=precision,
        max_batch=options.max_batch,
        targets=target.targets,
        portability=options.portability,
        version_compatible=options.version_compatible,
        timing_cache=PlanCache(default_folder()).timing_cache(library) if target.is_here else None,
    )
    plan = build_plan(library, bundle.read(graph.path), build, target.machine, on_progress)
    if precision == "int8" and not plan.record.quantize_layers:
        raise BackendError(
            f"{library} read no quantized layer in {bundle.root.name}/{graph.path}. Convert the "
            "model again with this version of edge-convert."
        )
    return Engine(plan)


def _check_here(checks: EngineChecks, library: Library, engines: list[Engine]) -> None:
    """Check the golden images and the gate, and measure speed; writes the results to `engines`."""
    sessions: dict[str, TensorRtSession] = {}
    try:
        for engine in engines:
            session = open_plan(library, engine.plan)
            sessions[session.precision] = session
            _judge(checks, engine, session)
        sound = {e.plan.record.precision: e for e in engines if e.problem is None}
        for batch in TIMED_BATCHES if sound else ():
            found = _time_engines(checks, {name: sessions[name] for name in sound}, batch)
            for precision, engine in sound.items():
                engine.latencies[batch] = found[precision]
    finally:
        for session in sessions.values():
            session.close()


def _judge(checks: EngineChecks, engine: Engine, session: TensorRtSession) -> None:
    record = replace(engine.plan.record, layer_precisions=session.layer_precisions())
    engine.plan = replace(engine.plan, record=record)
    try:
        check_session(checks.bundle, session)
    except DeviceError:
        raise
    except BackendError as error:
        engine.problem = str(error)
        return
    if checks.validation is not None:
        fp32 = _label(checks, _open_fp32(checks.bundle), checks.validation)
        smaller = _label(checks, session, checks.validation)
        evidence = Evidence(checks.validation, fp32, smaller, session.precision)
        missed = missed_limits(judge(evidence, checks.gate))
        engine.problem = missed[0].text if missed else None
        accuracy = evidence.accuracy(CANDIDATE)
        engine.was_judged, engine.accuracy = True, None if accuracy is None else str(accuracy)


def _open_fp32(bundle: Bundle) -> InferenceSession:
    return open_onnx(bundle.read(bundle.model("onnxruntime", "fp32").path), "fp32")


def _label(checks: EngineChecks, session: InferenceSession, validation: Validation) -> Logits:
    step = f"labelling with {session.precision} on {session.backend}"
    labeller = open_labeller(checks.bundle, session)
    return label_all(labeller, validation, partial(checks.on_progress, step))


def _time_engines(
    checks: EngineChecks, sessions: dict[str, TensorRtSession], batch: int
) -> dict[str, Latencies]:
    spec = checks.bundle.input
    blank = np.zeros((batch, spec.height, spec.width, 3), np.uint8)

    def infer_with(session: TensorRtSession) -> Callable[[int], object]:
        return lambda _: session.infer(blank)

    return interleave(
        {precision: infer_with(session) for precision, session in sessions.items()},
        TIMING_ROUNDS,
        on_round=partial(checks.on_progress, f"measuring speed, batch {batch}"),
    )


def _write(bundle: Bundle, plans: list[Plan]) -> None:
    """Write the bundle again, with these plans in place of those for the same libraries."""
    replaced = {plan.record.library for plan in plans}
    with atomic.new_directory(bundle.root, overwrite=True) as folder:
        writer = BundleWriter(folder)
        for entry in bundle.manifest["artefacts"]:
            is_engine = entry["role"] in (ROLE_ENGINE, ROLE_RECORD)
            if not (is_engine and entry["requires"]["backend"] in replaced):
                writer.copy(entry, bundle.read(entry["path"]))
        for plan in plans:
            _add(writer, plan)
        writer.finish({**bundle.manifest, "artefacts": writer.artefacts})


def _add(writer: BundleWriter, plan: Plan) -> None:
    record = plan.record
    name = f"engines/{record.precision}.{record.library}"
    requires = {
        "backend": record.library,
        "version": record.library_version,
        "compute_capability": " ".join(record.compute_capabilities),
        "os": record.os,
        "record": f"{name}.json",
    }
    facts = to_json(record.to_dict())
    needs = {"backend": record.library}
    writer.add(
        f"{name}.plan", plan.content, ROLE_ENGINE, precision=record.precision, requires=requires
    )
    writer.add(f"{name}.json", facts, ROLE_RECORD, precision=record.precision, requires=needs)
