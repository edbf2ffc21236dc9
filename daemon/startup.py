"""Opens what a service needs, and closes it at the end.

Locks and journal come before the model: they fail within seconds, the model may take minutes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Final

from daemon.config.config import Config
from daemon.health.stages import Stages
from daemon.health.systemd import Heartbeat
from daemon.model.gpu_failure import GpuFailure
from daemon.recovery import recover_claims, requeue_unreadable
from daemon.second_looks import SecondLooks
from daemon.storage import open_storage
from daemon.system.unicode_form import OTHER_FORM
from edge.backends.opening import Opening
from edge.failpoints import VARIABLE, arm_failpoints, failpoint
from edge.system.notifier import Notifier

if TYPE_CHECKING:
    # See below.
    from daemon.service import Service

log = logging.getLogger(__name__)

# How long systemd waits for the next message while an engine is built; a step takes seconds.
_BUILD_STEP_S: Final = 120
# What a reload imports. Taken at the start: after an upgrade of the package in place, these files
# would be of another version than what runs.
_NEEDED_LATER: Final = ("daemon.operator.check_config",)


@contextmanager
def opened_service(
    config: Config,
    *,
    is_once: bool = False,
    notifier: Notifier | None = None,
    gpu_failure: GpuFailure | None = None,
    is_reopened: bool = False,
) -> Iterator[Service]:
    """A service that is ready for `run` or `once`.

    Args:
        config: the configuration.
        is_once: whether it ends by itself.
        notifier: sends messages to systemd.
        gpu_failure: set by an earlier service of this process; this service updates it.
        is_reopened: whether this process had a service before. Images that it left claimed then
            do not count as interrupted.

    Raises:
        EdgeError: a folder, the journal, a lock or the model cannot be used.
    """
    for name in arm_failpoints():
        log.warning("failpoint %s is armed, which is for tests only. Unset %s", name, VARIABLE)
    for path in () if is_reopened else config.other_forms:
        log.warning("%s %s", path, OTHER_FORM)
    notifier = notifier or Notifier()
    with ExitStack() as stack:
        storage = open_storage(config, stack)
        journal = storage.journal
        stages = Stages()
        opening = announced(notifier)
        # Two threads that import hinder each other; hashing, opening and inferring hinder none. So
        # first what the model needs, and while it is opened the other half of all imports.
        from daemon.model.current_model import open_current_model

        with ThreadPoolExecutor(1, "open-model") as pool:
            opened = pool.submit(open_current_model, config, stages, opening, gpu_failure)
            from daemon.assembly import assemble, assembled_service

            for name in _NEEDED_LATER:
                import_module(name)
            current_model = opened.result()
        stack.callback(current_model.close)
        failpoint("startup.model_opened")
        watch_folders = config.watch_folders(journal.serve)
        recover_claims(journal, watch_folders, is_interruption=not is_reopened)
        requeue_unreadable(journal, watch_folders, is_once=is_once)
        if is_once:
            SecondLooks(journal).requeue_all()
        parts = assemble(
            config,
            storage,
            current_model,
            watch_folders,
            stages,
            Heartbeat(notifier),
            is_once=is_once,
        )
        with assembled_service(parts, current_model, opening, is_once=is_once) as service:
            yield service
        failpoint("shutdown.ended")


def announced(notifier: Notifier) -> Opening:
    """Log choices of back ends, and ask systemd for more time while an engine is built."""

    def on_progress(step: str, done: int, total: int) -> None:
        notifier.extend(_BUILD_STEP_S)
        notifier.notify(f"STATUS={step}: {done} of {total}")

    return Opening(on_choice=lambda text: log.info("%s", text), on_progress=on_progress)
