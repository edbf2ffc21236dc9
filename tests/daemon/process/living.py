"""A ServiceProcess that runs in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.service_process import ServiceProcess
from edge.system.notifier import Notifier
from tests.support.site import Site


@contextmanager
def living(site: Site, notifier: Notifier | None = None) -> Iterator[ServiceProcess]:
    """A lifecycle in a thread; its error, if any, is raised at the end."""
    errors: list[BaseException] = []
    config = site.config()
    lifecycle = ServiceProcess(site.folder / "edge.yaml", notifier)

    def run() -> None:
        try:
            lifecycle.run(config)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    thread = threading.Thread(target=run, name="lifecycle")
    thread.start()
    try:
        yield lifecycle
    finally:
        lifecycle.stop()
        thread.join(20)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
