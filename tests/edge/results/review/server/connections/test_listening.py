from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.results.review.server.connections.listening import Listening, listen, warnings_of
from edge.results.review.server.connections.protocol import Limits
from edge.results.settings.review_config import ReviewConfig
from tests.support.review_server import MINA, running_page


@contextmanager
def listening(config: ReviewConfig) -> Iterator[Listening]:
    found = listen(config)
    with found.socket:
        yield found


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (ReviewConfig(), ["127.0.0.1", "localhost"]),
        (ReviewConfig(address="::1"), ["[::1]", "localhost"]),
        (ReviewConfig(address="127.0.0.2"), ["127.0.0.2"]),
        (ReviewConfig(hosts=("Lab.example",)), ["127.0.0.1", "localhost", "lab.example"]),
        (ReviewConfig(address="0.0.0.0", hosts=("lab.example",)), ["lab.example"]),  # noqa: S104
    ],
)
def test_page_is_served_under_these_names_with_its_port(
    config: ReviewConfig, names: list[str]
) -> None:
    with listening(replace(config, port=0)) as found:
        assert list(found.origins) == [f"http://{name}:{found.port}" for name in names]
        assert found.address("T") == f"http://{names[0]}:{found.port}/enter?token=T"


def test_port_that_was_just_given_up_can_be_had_again() -> None:
    with running_page() as page:
        page.client()
        port = page.port
    with listening(ReviewConfig(port=port)) as found:
        assert found.port == port


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (ReviewConfig(address="192.0.2.1", port=0), "none of this machine's addresses"),
        (ReviewConfig(address="0.0.0.0", port=0), "review.hosts is missing"),  # noqa: S104
        (
            ReviewConfig(port=0, certificate=Path("/no/cert.pem"), key=Path("/no/key.pem")),
            "cannot be used .No such file",
        ),
    ],
)
def test_address_that_cannot_be_had_is_told_in_one_line(config: ReviewConfig, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as error:
        listen(config)
    assert "\n" not in str(error.value)


def test_port_in_use_is_told_with_what_to_do() -> None:
    with listening(ReviewConfig(port=0)) as found, pytest.raises(ConfigError, match="--port 0"):
        listen(ReviewConfig(port=found.port))


def test_other_machines_let_in_are_warned_of() -> None:
    assert warnings_of(ReviewConfig()) == []
    assert "open to other machines" in warnings_of(ReviewConfig(address="192.0.2.1"))[0]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-out", str(files[0]), "-keyout", str(files[1])),
        ],
        check=True,
        capture_output=True,
    )
    return files


def test_page_with_tls_is_secure_in_cookie_and_headers(certificate: tuple[Path, Path]) -> None:
    config = ReviewConfig(port=0, certificate=certificate[0], key=certificate[1])
    with running_page(config) as page:
        context = ssl.create_default_context(cafile=str(certificate[0]))
        connection = http.client.HTTPSConnection("127.0.0.1", page.port, context=context)
        address = page.page.new_address()
        assert address.startswith(f"https://127.0.0.1:{page.port}/enter?token=")
        path = address.removeprefix(page.origin)
        connection.request("GET", path, headers={"Sec-Fetch-Site": "none"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
    assert answer.status == 303
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"__Host-edge_review_{page.port}=")
    assert "Secure" in cookie
    assert "Path=/;" in cookie
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_connection_without_a_tls_greeting_is_ended(certificate: tuple[Path, Path]) -> None:
    config = ReviewConfig(port=0, certificate=certificate[0], key=certificate[1])
    with (
        running_page(config, limits=Limits(head_s=0.3)) as page,
        socket.create_connection(("127.0.0.1", page.port), 20) as connection,
    ):
        with suppress(ConnectionError):
            assert connection.recv(1) == b""
        assert page.page.server.server_state.connections == set()


def test_key_with_a_passphrase_is_refused_and_nobody_is_asked(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    locked = tmp_path / "locked.pem"
    subprocess.run(
        [
            *("openssl", "rsa", "-aes128", "-passout", "pass:secret"),
            *("-in", str(certificate[1]), "-out", str(locked)),
        ],
        check=True,
        capture_output=True,
    )
    with pytest.raises(ConfigError, match="without a passphrase"):
        listen(ReviewConfig(port=0, certificate=certificate[0], key=locked))


def test_page_for_other_machines_and_people_is_served_under_its_name(
    certificate: tuple[Path, Path],
) -> None:
    config = ReviewConfig(
        people=(MINA,),
        address="127.0.0.2",
        port=0,
        hosts=("lab.example",),
        certificate=certificate[0],
        key=certificate[1],
    )
    with listening(config) as found:
        assert found.origins[0].startswith("https://127.0.0.2:")
        assert found.tls is not None
