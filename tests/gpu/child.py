"""The worker process as the check sees it: started where there is none, ended where it hangs."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from edge.errors import BackendError, BundleError, EdgeError
from tests.gpu.budget import Answer, Figures, Proven, Step
from tests.gpu.setting import ROOT
from tests.gpu.worker import from_json

COMMAND: Final = (sys.executable, "-m", "tests.gpu.worker")
# Importing TensorRT and opening the GPU take a few seconds.
_START_S: Final = 60.0
# A step that looks at its limit by itself may end a little late.
_GRACE_S: Final = 3.0


class EndedError(Exception):
    """The process is gone or was ended; the text says why."""


class Child:
    """A `Worker` that takes the steps in another process.

    Args:
        arguments: a file of JSON, for `open_setting`.
        log: takes what the process and the libraries say.
    """

    def __init__(self, arguments: Path, log: Path, command: Sequence[str] = COMMAND) -> None:
        self._arguments, self._log, self._command = arguments, log, command
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._unread = b""

    def start(self) -> None:
        """Start the process.

        Raises:
            EdgeError: it cannot use the bundle or the GPU, or did not start.
        """
        self._unread = b""
        self._log.touch()
        self._log_start = self._log.stat().st_size
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, str(self._arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                # What a step starts is ended with it.
                start_new_session=True,
            )
        try:
            greeting = self._read(time.monotonic() + _START_S)
        except EndedError as ended:
            raise EdgeError(f"the worker did not start: {ended}") from ended
        if "error" in greeting:
            self.close()
            kinds = {kind.exit_code: kind for kind in (BackendError, BundleError)}
            raise kinds.get(greeting["exit_code"], EdgeError)(greeting["error"])

    def take(
        self, step: Step, limit_s: float, proven: Proven, on_partial: Callable[[Figures], None]
    ) -> Answer:
        """See `Worker`."""
        end_s = time.monotonic() + limit_s
        try:
            if step.is_alone:
                self.close()
            if self._process is None:
                self.start()
            self._ask(step, end_s - time.monotonic(), proven)
            while "partial" in (answer := self._read(end_s + _GRACE_S)):
                on_partial(answer["partial"])
        except (EndedError, EdgeError) as error:
            return Answer("failed", str(error))
        return from_json(answer)

    def close(self) -> None:
        """End the process and what it started."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(BrokenPipeError):
            process.communicate()

    def _ask(self, step: Step, limit_s: float, proven: Proven) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        asked = {
            "step": step.name,
            "limit_s": limit_s,
            "precisions": proven.precisions,
            "refused": proven.refused,
        }
        try:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise EndedError(self._why_it_ended()) from error

    def _read(self, end_s: float) -> dict[str, Any]:
        assert self._process is not None
        stream = self._process.stdout
        assert stream is not None
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(end_s - time.monotonic(), 0)):
                    self.close()
                    raise EndedError("it took longer than its time and was ended")
                # Not through the stream's own buffer, which `select` does not see.
                got = os.read(stream.fileno(), 1 << 20)
                if not got:
                    raise EndedError(self._why_it_ended())
                self._unread += got
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _why_it_ended(self) -> str:
        assert self._process is not None
        code = self._process.wait(10)
        # It may have started others.
        self.close()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"the process ended with {name}{self._last_place()}"

    def _last_place(self) -> str:
        """Where faulthandler saw the process last, else its last words."""
        with self._log.open("rb") as stream:
            stream.seek(self._log_start)
            said = stream.read().decode("utf-8", "replace")
        places = re.findall(r'File "[^"]*/([^"/]+)", line (\d+) in (\w+)', said)
        if places and "most recent call first" in said:
            file, line, function = places[0]
            return f" in {function} ({file}:{line})"
        words = said.strip().splitlines()[-1:]
        return f": {words[0]}" if words else ""
