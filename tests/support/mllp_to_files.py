"""A receiver of MLLP in a process of its own, whose messages become files.

    python -m tests.support.mllp_to_files FOLDER PORT

While FOLDER has a file `silent`, nothing is answered.
"""

from __future__ import annotations

import socket
import sys
import threading
from itertools import count
from pathlib import Path

from tests.support.mllp_server import END, answer

_NUMBERS = count()


def main() -> None:
    """Take messages until it is stopped."""
    folder = Path(sys.argv[1])
    with socket.create_server(("", int(sys.argv[2]))) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_take, args=(connection, folder), daemon=True).start()


def _take(connection: socket.socket, folder: Path) -> None:
    buffer = b""
    while piece := connection.recv(65536):
        buffer += piece
        while END in buffer:
            message, _, buffer = buffer.partition(END)
            message = message.lstrip(b"\x0b")
            (folder / f"message-{next(_NUMBERS):03}").write_bytes(message)
            if not (folder / "silent").exists():
                connection.sendall(answer(message))


if __name__ == "__main__":
    main()
