"""A supervisor of a real service."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config.metrics_config import Address
from daemon.health.health import Health
from daemon.health.metrics import Metrics
from daemon.startup import opened_service
from daemon.supervision.metrics_server import MetricsServer, pages
from tests.daemon.supervision.bench import Bench
from tests.daemon.supervision.metrics_client import Connect
from tests.support.site import Site


@pytest.fixture
def bench(site: Site) -> Iterator[Bench]:
    site.settings["workers"] = 2
    with opened_service(site.config()) as service:
        yield Bench(service)


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture(params=["tcp", "unix"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    if request.param == "unix":
        return Address(path=tmp_path / "m.sock")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", free.getsockname()[1])


@pytest.fixture
def server(address: Address, health: Health) -> Iterator[MetricsServer]:
    server = MetricsServer(address, pages(health, Metrics(health)))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def connect(address: Address, server: MetricsServer) -> Connect:
    assert server.is_listening

    def connect() -> socket.socket:
        if address.path is not None:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(10)
            client.connect(str(address.path))
            return client
        return socket.create_connection((address.host, address.port), timeout=10)

    return connect
