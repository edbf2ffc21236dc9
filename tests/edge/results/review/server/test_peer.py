from __future__ import annotations

import os
import socket

import pytest

from edge.results.review.server import peer
from edge.results.review.server.peer import is_own_user


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_own_connection_is_of_the_own_user_and_of_no_other(
    family: socket.AddressFamily, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        with socket.create_connection((address, port)) as client:
            ends = client.getsockname()[:2], (address, port)
            assert is_own_user(*ends)
            assert not is_own_user((address, 1), ends[1])
            monkeypatch.setattr(peer.os, "geteuid", lambda: os.getuid() + 1)  # type: ignore[attr-defined]
            assert not is_own_user(*ends)


def test_unknown_connection_is_nobody_s() -> None:
    assert not is_own_user(None, ("127.0.0.1", 1))
    assert not is_own_user(("127.0.0.1", 1), None)
