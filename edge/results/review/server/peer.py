"""Which user of this machine is at the other end of a connection, as Linux knows it.

Other users can see a browser's command line, and an address in it. Such an address is for the
browser of the user who started the page alone.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Final

_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED: Final = "01"

Endpoint = tuple[str, int]


def is_own_user(client: Endpoint | None, server: Endpoint | None) -> bool:
    """Whether the client's end of a connection belongs to the user of this process.

    False also where the system does not tell.
    """
    if client is None or server is None:
        return False
    wanted = _hexadecimal(client), _hexadecimal(server), _ESTABLISHED
    for table in _TABLES:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            # sl, local, remote, state, queues, timer, retransmits, uid
            if tuple(fields[1:4]) == wanted:
                return int(fields[7]) == os.geteuid()
    return False


def _hexadecimal(endpoint: Endpoint) -> str:
    """An endpoint as the kernel's table writes it: words of 32 bits in the machine's order."""
    address, port = endpoint
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    content = socket.inet_pton(family, address)
    words = (content[i : i + 4] for i in range(0, len(content), 4))
    return "".join(f"{int.from_bytes(w, sys.byteorder):08X}" for w in words) + f":{port:04X}"
