from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from edge.demo import run
from edge.errors import BackendError
from tests.support.waiting import until

# As edge-convert takes signals: Ctrl-C reaches it from the terminal and SIGTERM from the demo.
SLOW_TO_CLEAN_UP = """\
#!{python}
import pathlib, sys, time
from edge.command.run import run_command
scratch = pathlib.Path({scratch!r})
def work():
    scratch.touch()
    try:
        time.sleep(60)
    finally:
        time.sleep(1)
        scratch.unlink()
sys.exit(run_command(work, debug=False, on_interrupt="stopped", tidies_up=True))
"""

# Where the tests run in the background, their processes would ignore Ctrl-C.
DEMO = """\
import signal, sys
from pathlib import Path
from edge.demo import run
signal.signal(signal.SIGINT, signal.default_int_handler)
run.installed_command = lambda name: sys.argv[1]
run.convert(Path("model.pt"), run.Workspace(Path(sys.argv[2])))
"""


def test_convert_interrupted_by_a_person_lets_the_command_clean_up(tmp_path: Path) -> None:
    scratch, command = tmp_path / "scratch", tmp_path / "edge-convert"
    command.write_text(SLOW_TO_CLEAN_UP.format(python=sys.executable, scratch=str(scratch)))
    command.chmod(0o700)
    argv = [sys.executable, "-c", DEMO, str(command), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    demo = subprocess.Popen(
        argv, start_new_session=True, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        until(scratch.exists, timeout_s=30)
        # As a terminal does it: the whole process group hears of Ctrl-C.
        os.killpg(demo.pid, signal.SIGINT)
        assert demo.wait(30) != 0
        assert not scratch.exists()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(demo.pid, signal.SIGKILL)
        demo.wait()


def test_convert_goes_on_with_a_bundle_that_runs_in_fp32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code in (0, 7, 3):
        command = tmp_path / f"edge-convert-{code}"
        command.write_text(f"#!/bin/sh\nexit {code}\n")
        command.chmod(0o700)
        monkeypatch.setattr(run, "installed_command", lambda _, made=command: str(made))
        if code == 3:
            with pytest.raises(BackendError, match="edge-convert failed"):
                run.convert(Path("model.pt"), run.Workspace(tmp_path))
        else:
            run.convert(Path("model.pt"), run.Workspace(tmp_path))
