"""Starts the child process that opens a model file; a crash or hang becomes an error message."""

from __future__ import annotations

import os
import re
import signal
import site
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from converters.loading.sandbox.limits import Limits
from converters.loading.sandbox.messages import Answer, ChildRequest, Refusal, read_answer
from edge.errors import ConfigError, EdgeError, ModelError
from edge.system.children import with_this_parent
from edge.text.printable import printable

LIMITS: Final = Limits()
# Limits text from an untrusted file in a message.
_MAX_MESSAGE_CHARACTERS: Final = 900
# Python's settings, which are set below, and secrets.
_NOT_INHERITED: Final = re.compile(r"^PYTHON|KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_MAX_GUARDS_BYTES: Final = 300


def run_child(folder: Path, request: ChildRequest) -> Answer:
    """Start the child on `folder`, wait until it ends, and return its answer.

    The answer's `sandbox` is what the child reported before it opened the file.

    Raises:
        ModelError: the file is refused, or the child crashed or ran too long.
        ConfigError: the card does not fit the file.
    """
    # Without -P, a file `torch.py` in the current folder would be imported instead of torch.
    command = [sys.executable, "-P", "-m", "converters.loading.child", str(folder)]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(folder, request),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        try:
            exit_code = child.wait(request.limits.timeout_s)
        except subprocess.TimeoutExpired as error:
            raise _too_long(request) from error
        finally:
            _end(child)
        guards = _reported_guards(child)
    answer = read_answer(folder)
    if exit_code != 0 or answer is None:
        raise _crashed(request, exit_code)
    if answer.refusal is not None:
        raise _refused(answer.refusal)
    return replace(answer, sandbox=guards)


def _reported_guards(child: subprocess.Popen[bytes]) -> str:
    output = child.stdout.read(_MAX_GUARDS_BYTES) if child.stdout else b""
    return printable(output.decode("ascii", "replace"))


def _environment(folder: Path, request: ChildRequest) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not _NOT_INHERITED.search(k)}
    search_path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    own = {
        # Weights must come from the file, not from a download.
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": search_path,
        "PYTHONUSERBASE": site.getuserbase(),
        "TMPDIR": str(folder),
        # Each thread maps its own memory; with many cores that alone would exceed the limit.
        "OMP_NUM_THREADS": "2",
    }
    inherited.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    if not request.trusted:
        # Otherwise torch.export.load uses the unsafe unpickler if the safe one fails.
        own["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    return with_this_parent(inherited | own)


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _too_long(request: ChildRequest) -> ModelError:
    return ModelError(
        f"{request.name} took longer than {request.limits.timeout_s:.0f} s to open and to run on "
        "a few images, and was stopped. Give a model that finishes; check where the file is from."
    )


def _crashed(request: ChildRequest, exit_code: int) -> ModelError:
    if exit_code == -signal.SIGXCPU:
        return _too_long(request)
    if exit_code == -signal.SIGKILL:
        how = "was killed, probably because memory ran out"
    elif exit_code < 0:
        how = f"crashed ({signal.Signals(-exit_code).name})"
    else:
        how = f"ended with exit code {exit_code} and no answer"
    return ModelError(
        f"the process that opened {request.name} {how}. A model that runs and fits into memory is "
        "needed; check where the file is from."
    )


def _refused(refusal: Refusal) -> EdgeError:
    # Names in an untrusted pickle may contain line breaks and terminal control sequences.
    line = printable(" ".join(refusal.message.split()))
    kind = ConfigError if refusal.is_config else ModelError
    error = kind(line[:_MAX_MESSAGE_CHARACTERS])
    error.add_note(refusal.trace)
    return error
