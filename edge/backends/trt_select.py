"""Which engine plan serves a bundle here: one from the bundle that fits, else one built here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edge.backends.base import InferenceSession
from edge.backends.gpu import find_machine, has_driver
from edge.backends.plan import Machine, PlanRecord, misfits
from edge.backends.plan_cache import PlanCache
from edge.backends.trt import open_plan
from edge.backends.trt_build import BuildOptions, Plan
from edge.backends.trt_library import Library, open_library
from edge.bundle import Bundle
from edge.errors import BackendError, BundleError
from edge.golden import check_session
from edge.manifest import Artefact
from edge.progress import OnProgress
from edge.strict_json import parse_json

OnChoice = Callable[[str], None]


def open_precisions(
    bundle: Bundle,
    library_name: str,
    precisions: tuple[str, ...],
    *,
    cache: PlanCache,
    on_choice: OnChoice,
    on_progress: OnProgress,
    on_gpu: Callable[[], None] = lambda: None,
) -> dict[str, InferenceSession]:
    """Sessions by precision, each proven on the golden images; at least one.

    Args:
        cache: of the plans built on this machine.
        on_choice: told which plan was taken or passed over, and why.
        on_progress: told while a plan is built.
        on_gpu: called before the driver is first asked, where there is one: a call into it may
            never come back.

    Raises:
        BackendError: library, GPU or driver are missing, or no precision works.
        BundleError: the bundle holds neither a plan nor a graph for them.
    """
    library = open_library(library_name)
    if has_driver():
        on_gpu()
    try:
        machine = find_machine()
    except BackendError as error:
        raise BackendError(f"{library} has nothing to run on: {error}") from error
    sessions: dict[str, InferenceSession] = {}
    failures: list[BackendError | BundleError] = []
    for precision in precisions:
        try:
            plan = find_plan(bundle, library, machine, precision, cache, on_choice, on_progress)
            session = open_plan(library, plan, runtime_cache=cache.runtime_cache(plan))
            check_session(bundle, session)
        except (BackendError, BundleError) as error:
            failures.append(error)
        else:
            sessions[precision] = session
    if not sessions:
        raise failures[0]
    for failure in failures:
        on_choice(str(failure))
    return sessions


def find_plan(
    bundle: Bundle,
    library: Library,
    machine: Machine,
    precision: str,
    cache: PlanCache,
    on_choice: OnChoice,
    on_progress: OnProgress,
) -> Plan:
    """A plan for this machine: of the bundle, of the cache, or built now."""
    for artefact in bundle.engines(library.name, precision):
        record = read_record(bundle, artefact)
        problems = misfits(record, machine, library)
        if not problems:
            return Plan(bundle.read(artefact.path), record, artefact.path)
        on_choice(f"{artefact.path} does not fit this machine: {'; '.join(problems)}")
    graph = bundle.tensorrt_graph(precision, weakly_typed=library.is_weakly_typed)
    if graph is None:
        raise BundleError(_no_graph(bundle, library, precision))
    options = BuildOptions(precision)
    content = bundle.read(graph.path)
    plan = cache.find_or_build(library, content, options, machine, on_progress)
    return replace(plan, graph=graph.path)


def read_record(bundle: Bundle, artefact: Artefact) -> PlanRecord:
    """The record of a plan of the bundle.

    Raises:
        BundleError: it has none, or a damaged one.
    """
    path = artefact.requires.get("record", "")
    try:
        return PlanRecord.from_dict(parse_json(bundle.read(path)))
    except (ValueError, TypeError) as error:
        raise BundleError(
            f"{bundle.root.name}/{path} is no plan's record. Build the engine again."
        ) from error


def _no_graph(bundle: Bundle, library: Library, precision: str) -> str:
    asked = "--int8" if precision == "int8" else ""
    advice = f"Convert the model again with edge-convert {asked}".rstrip()
    if library.is_weakly_typed:
        advice += " --tensorrt8"
    return f"{bundle.root.name} holds no {precision} graph for {library}. {advice}."
