"""Checks that the configured metrics can be served and written by this process."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from daemon.config.metrics_config import Address, MetricsConfig
from daemon.system.this_user import give_permission

_INSTALL: Final = "Run `edge-daemon install` again, which lets the unit do it"


def metrics_problems(metrics: MetricsConfig) -> Iterator[str]:
    """One line if the address cannot be served, and one if the file cannot be written."""
    if metrics.listen is not None and metrics.listen.path is None:
        yield from _address_problems(metrics.listen)
    if metrics.listen is not None and metrics.listen.path is not None:
        yield from _folder_problems(f"metrics.listen {metrics.listen}", metrics.listen.path.parent)
    if metrics.file is not None:
        yield from _folder_problems(f"metrics.file {metrics.file}", metrics.file.parent)


def metrics_lines(metrics: MetricsConfig) -> Iterator[str]:
    """A line that names where the metrics go; none if they go nowhere."""
    places = [str(place) for place in (metrics.listen, metrics.file) if place is not None]
    if places:
        yield f"metrics  {' and '.join(places)}"


def _address_problems(address: Address) -> Iterator[str]:
    reason = _refusal(address)
    if reason in (None, errno.EADDRINUSE):  # the running daemon may use it
        return
    problem = f"metrics.listen {address} cannot be used ({os.strerror(reason or 0)})."
    if reason == errno.EAFNOSUPPORT:
        yield f"{problem} {_INSTALL}, or give a unix: socket."
    else:
        yield f"{problem} Give a port above 1023 of an address that this machine has."


def _refusal(address: Address) -> int | None:
    try:
        with socket.socket(address.family, socket.SOCK_STREAM) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((address.host, address.port))
    except OSError as error:
        return error.errno
    return None


def _folder_problems(name: str, folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        yield f"{name}: there is no folder {folder}. Make it, or name another place."
    elif is_read_only(folder):
        yield f"{name}: {folder} is read-only here. {_INSTALL}."
    elif not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        yield f"{name}: {folder} cannot be written. {give_permission()}."


def is_read_only(folder: Path) -> bool:
    """Whether the folder's mount is read-only, as most are in the unit's sandbox."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False
