"""The real command `edge-results review` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.failpoints import VARIABLE
from tests.support.waiting import until

_ADDRESS = re.compile(r"https?://\S+/enter\?token=\S+")


class ReviewProcess:
    """Killed at the end of a `with` block, if it has not ended."""

    def __init__(self, config: Path, log: Path, *, port: int = 0, faults: str = "") -> None:
        argv = [sys.executable, "-m", "edge.results.cli", "review", "--no-browser"]
        argv += ["--config", str(config), "--port", str(port)]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, VARIABLE: faults},
            )
        self._log = log
        until(lambda: self._addresses() or self.process.poll() is not None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def address(self) -> str:
        """The newest address that lets a browser in."""
        assert self._addresses(), self.said
        return self._addresses()[-1]

    @property
    def port(self) -> int:
        found = re.search(r":(\d+)/", self.address)
        assert found
        return int(found[1])

    @property
    def said(self) -> str:
        return self._log.read_text()

    @property
    def rss_mb(self) -> float:
        """The process's resident memory in MB (10^6 bytes), as the kernel counts it now."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found
        return int(found[1]) * 1024 / 1e6

    def new_address(self) -> str:
        """Ask for another address."""
        before = len(self._addresses())
        self.process.send_signal(signal.SIGUSR1)
        until(lambda: len(self._addresses()) > before)
        return self.address

    def _addresses(self) -> list[str]:
        return _ADDRESS.findall(self.said)
