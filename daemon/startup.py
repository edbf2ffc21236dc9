"""Opens what a service needs, in the order in which a failure costs least, and closes it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Final

from daemon.config import Config
from daemon.folder_lock import owned_folders
from daemon.image_log import ImageLog
from daemon.journal import Journal, open_journal
from daemon.label_job import LabelJob, Patience
from daemon.liveness import Heartbeat, Notifier, Pulse
from daemon.logs import open_pseudonyms
from daemon.results import ResultsWriter
from daemon.results_place import ResultsPlace
from daemon.roots import Root, names_regex
from daemon.service import Parts, Service
from daemon.settle import PATIENCE_FACTOR
from daemon.state_dir import owned_state_dir
from edge.atomic import remove_leftovers
from edge.backends.base import InferenceSession
from edge.backends.select import Opening, open_session
from edge.bundle import Bundle, load_bundle
from edge.errors import RejectReason
from edge.golden import open_labeller
from edge.labeller import Labeller
from edge.sidecar import model_facts

log = logging.getLogger(__name__)

# Folder in the state folder that keeps the engines built on this machine.
ENGINES_NAME: Final = "engines"
# How long systemd waits for the next sign while an engine is built; a step takes seconds.
_BUILD_STEP_S: Final = 120


@dataclass(frozen=True, slots=True)
class Model:
    """A verified bundle, opened, whose golden images gave their labels."""

    bundle: Bundle
    session: InferenceSession
    labeller: Labeller


def open_model(config: Config, *, opening: Opening | None = None) -> Model:
    """Open the configured model.

    Args:
        opening: who is told of choices and progress, and whether engines that are built are kept;
            threads and folder are the configuration's.

    Raises:
        BundleError, BackendError: it cannot be used here.
    """
    bundle = load_bundle(config.bundle)
    session = open_session(
        bundle,
        backend=config.backend,
        precision=config.precision,
        opening=replace(
            opening or Opening(), threads=config.threads, cache=config.state_dir / ENGINES_NAME
        ),
    )
    return Model(bundle, session, open_labeller(bundle, session, config.limits))


@contextmanager
def opened_service(config: Config, *, is_once: bool = False) -> Iterator[Service]:
    """A service that is ready to `run` or `once`.

    Raises:
        EdgeError: something it needs is not to be had.
    """
    with ExitStack() as stack:
        stack.enter_context(owned_state_dir(config.state_dir))
        pseudonyms = open_pseudonyms(config.state_dir)
        journal = open_journal(config.state_dir)
        stack.callback(journal.close)
        watch_folders = [watch.folder for watch in config.watch]
        place = ResultsPlace(config.results.folder, watch_folders)
        trees = [config.results_folder(watch) for watch in config.watch]
        stack.enter_context(owned_folders(watch_folders, trees))
        notifier = Notifier()
        model = open_model(config, opening=_announced(notifier))
        stack.callback(model.session.close)
        roots = open_roots(config, journal)
        tidy_up(journal, roots)
        take_up_unreadable(journal, roots, is_once=is_once)
        pulse = Pulse()
        patience = Patience(
            config.settle_s * PATIENCE_FACTOR,
            trust_mtime=is_once,
            recheck_s=None if is_once else config.rescan_s,
        )
        facts = model_facts(model.bundle, model.session)
        parts = Parts(
            config=config,
            journal=journal,
            roots=roots,
            job=LabelJob(model.labeller, roots, config.retry, patience),
            results=ResultsWriter(roots, facts, config.results.formats, config.retry, place),
            # Between two looks at an unreadable image others may come first.
            image_log=ImageLog(roots, pseudonyms, quiet_s=10 * config.rescan_s),
            heartbeat=Heartbeat(notifier, pulse),
            pulse=pulse,
        )
        yield Service(parts, is_once=is_once)


def _announced(notifier: Notifier) -> Opening:
    """Choices go to the log; the building of an engine keeps systemd from losing patience."""

    def on_progress(step: str, done: int, total: int) -> None:
        notifier.notify(
            f"EXTEND_TIMEOUT_USEC={_BUILD_STEP_S * 1_000_000}",
            f"STATUS={step}: {done} of {total}",
        )

    return Opening(on_choice=lambda text: log.info("%s", text), on_progress=on_progress)


def open_roots(config: Config, journal: Journal) -> dict[int, Root]:
    """The watch folders by their numbers in the journal."""
    roots = {}
    for watch in config.watch:
        id_ = journal.serve(watch.folder)
        names = names_regex(watch.patterns)
        results = config.results_folder(watch)
        roots[id_] = Root(id_, watch.folder, results, names, watch.sample)
    return roots


def tidy_up(journal: Journal, roots: dict[int, Root]) -> None:
    """Take up where a killed process left off.

    Only an image that was claimed can have left a temporary file, beside its sidecars.
    """
    claimed = [(roots[id_], path) for id_, path in journal.take_back_claims() if id_ in roots]
    for folder in {root.target(path).parent for root, path in claimed}:
        remove_leftovers(folder, older_than_s=0.0)


def take_up_unreadable(journal: Journal, roots: dict[int, Root], *, is_once: bool) -> None:
    """Put images that `once` rejected as unreadable back to waiting.

    A permission changes neither size nor mtime, so that no scan finds them again. The service
    waits for them; `once` takes those that can be read now.
    """

    def is_wanted(root: int, path: bytes) -> bool:
        return not is_once or os.access(roots[root].image(path), os.R_OK, effective_ids=True)

    journal.retry_rejected(reason=str(RejectReason.UNREADABLE), is_wanted=is_wanted)
