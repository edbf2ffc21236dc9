"""The address of the page: the socket, TLS, and the names that browsers may ask for."""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final, NoReturn

from edge.errors import ConfigError
from edge.results.settings.review_config import LOOPBACK, ReviewConfig
from edge.text.printable import printable

BACKLOG: Final = 128
_USUAL_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Listening:
    """A bound socket.

    Attributes:
        tls: None without TLS.
        origins: `http://HOST:PORT` of every name that the page is served under; first the one to
            be shown.
    """

    socket: socket.socket
    port: int
    tls: ssl.SSLContext | None
    origins: tuple[str, ...]

    def address(self, token: str) -> str:
        """What a person opens."""
        return f"{self.origins[0]}/enter?token={token}"


def listen(config: ReviewConfig) -> Listening:
    """Bind the configured address; the caller closes the socket.

    Raises:
        ConfigError: the address or port cannot be had, or certificate and key cannot be used.
    """
    names = _names(config)
    tls = _tls(config.certificate, config.key) if config.certificate and config.key else None
    family = socket.AF_INET6 if ":" in config.address else socket.AF_INET
    # With the protocol named, asyncio sends each part at once (TCP_NODELAY). Otherwise an answer's
    # body waits 40 ms for the acknowledgement of its headers.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A page that was ended and started again gets its port again.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((config.address, config.port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        _refuse(error, config)
    port = bound.getsockname()[1]
    scheme = "https" if tls else "http"
    end = "" if port == _USUAL_PORTS[scheme] else f":{port}"
    return Listening(bound, port, tls, tuple(f"{scheme}://{name}{end}" for name in names))


def warnings_of(config: ReviewConfig) -> list[str]:
    """What a person must know who lets other machines in."""
    if config.is_local:
        return []
    line = f"the page is open to other machines, at {config.address}; PINs alone tell who signs"
    return [line]


def _names(config: ReviewConfig) -> list[str]:
    """Names and addresses under which the page is served, in lower case.

    Raises:
        ConfigError: no other machine could name it.
    """
    ip = ip_address(config.address)
    shown = f"[{ip}]" if isinstance(ip, IPv6Address) else str(ip)
    if ip.is_unspecified:
        if not config.hosts:
            raise ConfigError(
                f"review.address is {config.address}, and review.hosts is missing: give the names "
                "under which other machines open the page."
            )
        own: list[str] = []
    else:
        # Other addresses of the loopback network are not what localhost means.
        own = [shown, "localhost"] if config.address in (LOOPBACK, "::1") else [shown]
    hosts = [host.lower() for host in config.hosts]
    # People know a machine by its name, and its certificate is for that.
    return [*own, *hosts] if config.is_local else [*hosts, *own]


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"review.certificate {printable(str(certificate))} and review.key "
            f"{printable(str(key))} cannot be used ({printable(reason)}). Give two PEM files that "
            "belong together, the key without a passphrase."
        ) from error
    return context


def _no_passphrase() -> NoReturn:
    # Otherwise OpenSSL would ask on the terminal.
    raise ValueError("the key has a passphrase")


def _refuse(error: OSError, config: ReviewConfig) -> NoReturn:
    where = f"port {config.port} of {config.address}"
    if error.errno == errno.EADDRINUSE:
        raise ConfigError(
            f"{where} is in use, by another review page or another program. End that one, or give "
            "--port 0 for a free port."
        ) from error
    if error.errno == errno.EADDRNOTAVAIL:
        raise ConfigError(
            f"review.address {config.address} is none of this machine's addresses; 127.0.0.1 "
            "always is."
        ) from error
    if error.errno == errno.EACCES:
        raise ConfigError(
            f"{where} is reserved for the system's services; give one of 1024 to 65535."
        ) from error
    raise ConfigError(f"{where} cannot be used ({error.strerror}); give another.") from error
