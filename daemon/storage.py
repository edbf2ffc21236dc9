"""What this process holds on the disks: the state folder, the journal, the results folders."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from daemon.config.config import Config
from daemon.journal.journal import Journal, open_journal
from daemon.log.journald import Pseudonyms, open_pseudonyms
from daemon.results.destination import Destination
from daemon.system.state_dir import owned_state_dir
from edge.failpoints import failpoint


@dataclass(frozen=True, slots=True)
class Storage:
    """What is open, and the check that the state folder is still this process's."""

    pseudonyms: Pseudonyms
    journal: Journal
    destination: Destination
    require_state_dir: Callable[[], None]


def open_storage(config: Config, stack: ExitStack) -> Storage:
    """Lock the folders and open the journal, until the stack closes.

    Raises:
        EdgeError: one of them cannot be used, or another daemon uses it.
    """
    require_state_dir = stack.enter_context(owned_state_dir(config.state_dir))
    failpoint("startup.locked")
    pseudonyms = open_pseudonyms(config.state_dir)
    journal = open_journal(config.state_dir)
    stack.callback(journal.close)
    failpoint("startup.journal_opened")
    journal.check_writable()
    watch_folders = [watch.folder for watch in config.watch]
    destination = Destination(config.results.folder, watch_folders)
    trees = [config.results_folder(watch) for watch in config.watch]
    stack.enter_context(destination.held(trees))
    return Storage(pseudonyms, journal, destination, require_state_dir)
