"""The `metrics` block of the configuration: an address of this machine only, and a file."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.files.strict_block import Block

_HOST_PORT: Final = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]]+)):(?P<port>\d{1,5})")
# sockaddr_un holds 108 bytes with the final zero.
_LONGEST_SOCKET_PATH: Final = 107
_SHAPES: Final = "give 127.0.0.1:PORT, [::1]:PORT or unix:/PATH"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens: a loopback host and a port, or a socket's path."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    @property
    def host_name(self) -> str:
        """The host as in URLs and in the Host header."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def family(self) -> socket.AddressFamily:
        """The address family of the socket."""
        if self.path is not None:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def __str__(self) -> str:
        """As in the configuration."""
        if self.path is not None:
            return f"unix:{self.path}"
        return f"{self.host_name}:{self.port}"


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Where metrics go; both None: nowhere."""

    listen: Address | None = None
    file: Path | None = None


def read_metrics(block: Block, base: Path) -> MetricsConfig:
    """Read the `metrics` block; problems are noted in it."""
    listen, file = block.text("listen"), block.text("file")
    path = Path(os.path.normpath(base / file)) if file else None
    if path is not None and path.suffix != ".prom":
        block.note("file", f"is {file!r}; node_exporter reads only names that end in .prom")
    config = MetricsConfig(_read_address(block, listen) if listen else None, path)
    block.close()
    return config


def _read_address(block: Block, text: str) -> Address | None:
    if text.startswith("unix:"):
        return _read_socket_path(block, text)
    match = _HOST_PORT.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        block.note("listen", f"is {text!r}; {_SHAPES}")
        return None
    host = match["v6"] or match["host"]
    if host == "localhost":
        host = "127.0.0.1"
    if not _is_loopback(host):
        block.note(
            "listen",
            f"is {text!r}, which other machines can reach, and there is no password; listen on "
            "127.0.0.1 behind a reverse proxy, or give metrics.file to node_exporter",
        )
        return None
    return Address(host, int(match["port"]))


def _read_socket_path(block: Block, text: str) -> Address | None:
    path = Path(text.removeprefix("unix:"))
    if not path.is_absolute() or len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        what = f"an absolute path of at most {_LONGEST_SOCKET_PATH} bytes"
        block.note("listen", f"is {text!r}; after unix: give {what}")
        return None
    return Address(path=path)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # A host name, which may be another machine's later.
        return False
