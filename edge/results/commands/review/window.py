"""The window in which the page runs: it shows addresses, opens the browser, and takes Enter."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Final

from edge.results.review.server.page_server import PageServer

_STDIN: Final = 0
_LINE_BYTES: Final = 4096


async def run_in_window(
    page: PageServer, show: Callable[[str], None], *, opens_browser: bool
) -> None:
    """Serve until a signal comes; Enter or SIGUSR1 makes a new address.

    Args:
        opens_browser: open the system's browser at each new address, if there is one to see.
    """

    def announce() -> None:
        for line in _lines(page.new_address(), has_terminal=has_terminal):
            show(line)
        if opens_browser and has_screen():
            open_browser(page.new_address(for_own_browser=True))

    loop = asyncio.get_running_loop()
    has_terminal = os.isatty(_STDIN)
    loop.add_signal_handler(signal.SIGUSR1, announce)
    if has_terminal:
        loop.add_reader(_STDIN, lambda: _take_line(loop, announce))
    announce()
    try:
        await page.run()
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
        loop.remove_reader(_STDIN)


def has_screen(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a browser would have a window of its own, and not take this terminal."""
    return any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def open_browser(address: str) -> None:
    """Open the system's browser, without waiting for it or showing what it says."""
    # -I: not a module of this name in the present folder.
    command = [sys.executable, "-I", "-m", "webbrowser", address]
    null = subprocess.DEVNULL
    threading.Thread(
        target=lambda: subprocess.run(
            command, stdin=null, stdout=null, stderr=null, start_new_session=True, check=False
        ),
        daemon=True,
    ).start()


def _lines(address: str, *, has_terminal: bool) -> list[str]:
    end = "Enter: a new address. Ctrl+C: end." if has_terminal else "SIGUSR1 shows a new address."
    return ["", f"  {address}", "", f"Open this address; it lets one browser in, once. {end}"]


def _take_line(loop: asyncio.AbstractEventLoop, announce: Callable[[], None]) -> None:
    try:
        # A job in the background would be stopped by reading from its terminal.
        if os.tcgetpgrp(_STDIN) != os.getpgrp():
            return
        content = os.read(_STDIN, _LINE_BYTES)
    except OSError:
        content = b""
    if content:
        announce()
    else:
        # Ctrl+D, or the terminal is gone.
        loop.remove_reader(_STDIN)
