"""Chooses the engine plan for a bundle: one of the bundle's that fits, else one built here.

A plan whose record fits may still fail, for example after a driver update. So each plan is tested
first: it must load and label the golden images correctly. A stored plan that fails is rebuilt once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge.backends.trt.build import BuildOptions, Plan
from edge.backends.trt.gpu import find_machine, has_driver
from edge.backends.trt.library import Library, open_library
from edge.backends.trt.plan import Machine, PlanRecord, misfits
from edge.backends.trt.plan_cache import FAILED_NOTE, PlanCache, PlanRequest
from edge.backends.trt.session import open_plan
from edge.bundle import Bundle
from edge.errors import BackendError, BundleError, DeviceError, PlanError
from edge.files.strict_json import parse_json
from edge.golden import check_session
from edge.manifest import Artefact
from edge.session import InferenceSession
from edge.text.progress import OnProgress

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
    """Sessions by precision, each tested on the golden images; at least one.

    Args:
        cache: the plans built on this machine.
        on_choice: called with a sentence on each plan that is chosen or skipped, and why.
        on_progress: called with (step, done, total) while a plan is built.
        on_gpu: called before the first call into the driver, if there is one; a driver call may
            never return.

    Raises:
        BackendError: library, GPU or driver is missing, or no precision works.
        BundleError: the bundle holds neither a plan nor a graph for them.
    """
    library = open_library(library_name)
    if has_driver():
        on_gpu()
    try:
        machine = find_machine()
    except BackendError as error:
        raise BackendError(f"{library} has nothing to run on: {error}") from error
    search = PlanSearch(bundle, library, machine, cache, on_choice, on_progress)
    sessions: dict[str, InferenceSession] = {}
    failures: list[BackendError | BundleError] = []
    for precision in precisions:
        try:
            sessions[precision] = search.open(precision)
        except (BackendError, BundleError) as error:
            failures.append(error)
    if not sessions:
        raise failures[0]
    for failure in failures:
        on_choice(str(failure))
    return sessions


@dataclass(frozen=True, slots=True)
class PlanSearch:
    """The search for plans of one bundle that work on this machine."""

    bundle: Bundle
    library: Library
    machine: Machine
    cache: PlanCache
    on_choice: OnChoice
    on_progress: OnProgress

    def open(self, precision: str) -> InferenceSession:
        """A session on the first plan that passes the test.

        Raises:
            BackendError: no plan passes, or the GPU cannot be used.
            BundleError: the bundle holds neither a plan nor a graph.
        """
        return self._open_bundled(precision) or self._open_built(self._request(precision))

    def _open_bundled(self, precision: str) -> InferenceSession | None:
        for plan in self._bundled(precision):
            try:
                return self._open_tested(plan)
            except PlanError as error:
                self.on_choice(f"{plan.graph}{self._other_driver(plan)} does not work: {error}")
        return None

    def _open_built(self, request: PlanRequest) -> InferenceSession:
        kept = self.cache.find(request)
        if kept is None:
            return self._open_new(request)
        precision = request.options.precision
        try:
            return self._open_tested(kept)
        except PlanError as error:
            reason = _first_sentence(error)
            if FAILED_NOTE in kept.record.notes:
                raise PlanError(
                    f"the {precision} engine that was built here does not work: {reason}. It is "
                    "not built again for this library, driver and GPU; to have it built, remove "
                    f"{self.cache.plan_path(request)}."
                ) from error
            self.on_choice(f"the stored {precision} engine is built again: {reason}")
        return self._open_new(request)

    def _open_new(self, request: PlanRequest) -> InferenceSession:
        plan = self.cache.build(request, self.on_progress)
        try:
            return self._open_tested(plan)
        except PlanError:
            self.cache.note_failure(request, plan)
            raise

    def _open_tested(self, plan: Plan) -> InferenceSession:
        """Load a plan and test it on the golden images.

        Raises:
            PlanError: the plan does not work.
            BackendError: the GPU does not work, or a package is missing.
        """
        kernels = self.cache.runtime_cache(plan)
        try:
            session = open_plan(self.library, plan, runtime_cache=kernels)
            self._check(session)
        except PlanError:
            # The compiled kernels may be the damaged part. They are named after the plan's hash, so
            # a rebuilt plan with the same bytes would use them again.
            self.cache.forget_kernels(plan)
            raise
        return session

    def _check(self, session: InferenceSession) -> None:
        try:
            check_session(self.bundle, session)
        except DeviceError:
            raise
        except BackendError as error:
            raise PlanError(str(error)) from error

    def _other_driver(self, plan: Plan) -> str:
        """A hint at the usual reason why a plan stops working; empty if the driver is the same."""
        built, here = plan.record.driver, self.machine.driver
        return "" if built in (None, here) else f" (of driver {built}, here is {here})"

    def _bundled(self, precision: str) -> Iterator[Plan]:
        """The bundle's plans whose records fit; the others are reported to `on_choice`."""
        for artefact in self.bundle.engines(self.library.name, precision):
            try:
                record = read_record(self.bundle, artefact)
            except PlanError as error:
                self.on_choice(f"{artefact.path} is skipped: {error}")
                continue
            problems = misfits(record, self.machine, self.library)
            if problems:
                reasons = "; ".join(problems)
                self.on_choice(f"{artefact.path} does not fit this machine: {reasons}")
            else:
                yield Plan(self.bundle.read(artefact.path), record, artefact.path)

    def _request(self, precision: str) -> PlanRequest:
        is_weak = self.library.is_weakly_typed
        graph = self.bundle.tensorrt_graph(precision, weakly_typed=is_weak)
        if graph is None:
            raise BundleError(_no_graph(self.bundle, self.library, precision))
        content = self.bundle.read(graph.path)
        return PlanRequest(self.library, self.machine, content, BuildOptions(precision), graph.path)


def read_record(bundle: Bundle, artefact: Artefact) -> PlanRecord:
    """The record of a plan of the bundle.

    Raises:
        BundleError: it is missing or not the file that the manifest names.
        PlanError: this version cannot read it.
    """
    path = artefact.requires.get("record", "")
    content = bundle.read(path)
    try:
        return PlanRecord.from_dict(parse_json(content))
    except (ValueError, TypeError, BundleError) as error:
        raise PlanError(
            f"{bundle.root.name}/{path} is not the record of a plan. Build the engine again."
        ) from error


def _first_sentence(error: PlanError) -> str:
    """The first sentence of a message: the cause, without the advice."""
    return str(error).split(". ", maxsplit=1)[0].rstrip(".")


def _no_graph(bundle: Bundle, library: Library, precision: str) -> str:
    asked = "--int8" if precision == "int8" else ""
    advice = f"Convert the model again with edge-convert {asked}".rstrip()
    if library.is_weakly_typed:
        advice += " --tensorrt8"
    return f"{bundle.root.name} holds no {precision} graph for {library}. {advice}."
