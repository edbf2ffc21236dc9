"""edge-convert is ended while its child computes: the child ends with it, whatever ended it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from tests.support.images import Jpeg
from tests.support.networks.tiny_network import CARD, CLASSES
from tests.support.waiting import until

# The machine may be busy; a test that waits for nothing does not take longer for it.
LIMIT_S = 120


class LoopsForever(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        while bool(images.sum() < float("inf")):
            images = images * 1.0
        return images


@pytest.fixture
def conversion(tmp_path: Path, colour_jpeg: Jpeg) -> Iterator[subprocess.Popen[str]]:
    """edge-convert on a model that never ends, with a scratch folder of its own."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its own TorchScript
        torch.jit.save(torch.jit.script(LoopsForever()), buffer)
    (tmp_path / "m.pt").write_bytes(buffer.getvalue())
    (tmp_path / "m.yaml").write_text(yaml.safe_dump({**CARD, "validation": "validation"}))
    for number in range(30):
        path = tmp_path / "validation" / CLASSES[number % 3] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(colour_jpeg(CLASSES[number % 3], seed=number))
    (tmp_path / "scratch").mkdir()
    # What starts the tests may ignore SIGINT and SIGHUP, as nohup does; children inherit that.
    command = ["env", "--default-signal=INT,HUP,TERM", sys.executable, "-m", "converters.cli"]
    with subprocess.Popen(
        [*command, str(tmp_path / "m.pt")],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / "scratch"), "PYTHONPATH": _search_path()},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        with suppress(ProcessLookupError):
            process.kill()


def _search_path() -> str:
    return os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)


def children_of(parent: int) -> list[int]:
    tasks = Path(f"/proc/{parent}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def computing_child(conversion: subprocess.Popen[str]) -> int:
    """The child's id, once it has torch in memory, which it takes to run the model alone."""

    def is_running() -> bool:
        return any("libtorch" in maps(child) for child in children_of(conversion.pid))

    until(is_running, timeout_s=LIMIT_S)
    (child,) = children_of(conversion.pid)
    return child


def maps(process: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process}/maps").read_text()
    return ""


def has_ended(process: int) -> bool:
    """A zombie has: it waits for somebody to read its exit code."""
    with suppress(OSError):
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    return True


def test_conversion_killed_ends_its_child(conversion: subprocess.Popen[str]) -> None:
    child = computing_child(conversion)
    conversion.kill()
    until(lambda: has_ended(child), timeout_s=LIMIT_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_conversion_ended_by_a_signal_ends_its_child_and_leaves_nothing(
    conversion: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    child = computing_child(conversion)
    conversion.send_signal(number)
    _, said = conversion.communicate(timeout=LIMIT_S)
    assert conversion.returncode == 130
    assert said.splitlines()[-1] == "error: interrupted; nothing was written."
    assert has_ended(child)
    assert list((tmp_path / "scratch").iterdir()) == []


CHILD = """
import signal
from edge.command.run import run_command
def wait():
    print("ready", flush=True)
    signal.pause()
run_command(wait, tidies_up=True)
"""
PARENT = f"""
import subprocess, sys
from edge.system.children import with_this_parent
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], env=with_this_parent(),
                         stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def test_command_started_by_another_ends_when_that_is_killed() -> None:
    """So do edge-convert and edge-daemon where edge-demo or edge-bench started them."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        env={**os.environ, "PYTHONPATH": _search_path()},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not has_ended(child)
        parent.kill()
        until(lambda: has_ended(child), timeout_s=LIMIT_S)


def test_command_whose_parent_has_ended_already_ends_itself() -> None:
    """The kernel is asked after the start; a parent that ends before that would be missed."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from edge.system.children import *; end_with_parent(); print('alive')",
        ],
        # The first process has not started this one.
        env={**os.environ, "PYTHONPATH": _search_path(), "MICROSCOPE_EDGE_PARENT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")
