"""Opens the sessions that a plan measures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from edge.backends.opening import Opening
from edge.backends.select import open_session, open_sessions
from edge.bench.plan import Plan
from edge.bundle import Bundle
from edge.golden import check_session
from edge.session import InferenceSession
from edge.text.progress import OnProgress


def open_planned(
    plan: Plan,
    bundle: Bundle,
    stack: ExitStack,
    on_choice: Callable[[str], None],
    on_progress: OnProgress,
) -> dict[int, list[InferenceSession]]:
    """Sessions by threads of one inference, checked on the golden images; closed with `stack`.

    Raises:
        BackendError: this machine lacks what was asked for, or a label differs.
        BundleError: the bundle holds no such graph.
    """
    found: dict[int, list[InferenceSession]] = {}
    for threads in plan.threads:
        opening = Opening(threads=threads, on_choice=on_choice, on_progress=on_progress)
        found[threads] = _open(plan, bundle, opening)
        for session in found[threads]:
            stack.callback(session.close)
            check_session(bundle, session)
    return found


def _open(plan: Plan, bundle: Bundle, opening: Opening) -> list[InferenceSession]:
    if plan.precisions:
        return [
            session
            for precision in plan.precisions
            for session in open_sessions(
                bundle, backend=plan.backend, precision=precision, opening=opening
            ).values()
        ]
    if plan.mode == "single_stream":
        return list(
            open_sessions(bundle, backend=plan.backend, precision=None, opening=opening).values()
        )
    # What the daemon would take.
    return [open_session(bundle, backend=plan.backend, opening=opening)]
