"""A service whose hints can be broken, and how long an image may take then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.lab import Lab
from tests.support.site import Site

# The loss window, and time to label on a busy machine.
WINDOW_S = 2.0


SLACK_S = 3.0


@contextmanager
def running(lab: Lab, *, gone: tuple[str, ...] = ()) -> Iterator[None]:
    """The service runs in a thread of this process, where its parts can be broken."""
    lab.add("first.jpg")
    with Site(lab.folder, lab.settings).running():
        lab.await_done()
        yield
        lab.check(gone=gone)
