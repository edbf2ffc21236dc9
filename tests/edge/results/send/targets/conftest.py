"""A receiver that plays a script, and senders to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge.results.send.targets.mllp import MllpSender, Receiver
from tests.support.mllp_server import MllpServer, mllp_server


@pytest.fixture
def server() -> Iterator[MllpServer]:
    with mllp_server() as server:
        yield server


@pytest.fixture
def sender(server: MllpServer) -> Iterator[MllpSender]:
    sender = MllpSender(Receiver("127.0.0.1", server.port, connect_s=5, answer_s=5))
    yield sender
    sender.close()


@pytest.fixture
def hasty(server: MllpServer) -> Iterator[MllpSender]:
    """For answers that never come."""
    sender = MllpSender(Receiver("127.0.0.1", server.port, connect_s=5, answer_s=0.1))
    yield sender
    sender.close()
