"""The machine's facts in a process from which the kernel's files are really hidden."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
# As `ProcSubset=pid` of the hardened unit and a container without /sys.
HIDING = 'mount -t proc -o subset=pid proc /proc && mount -t tmpfs none /sys && exec "$@"'
ASK = """
import json
from edge.bench.machine.conditions import watch
from edge.bench.machine.energy import open_meter
from edge.bench.machine.environment import environment
with watch() as watched:
    watched.look()
found = {**watched.conditions().to_dict(), **environment().to_dict(), "why": open_meter().why}
print(json.dumps(found))
"""


def hidden(*command: str) -> subprocess.CompletedProcess[str]:
    whole = ("unshare", "--mount", "--pid", "--fork", "bash", "-c", HIDING, "_", *command)
    return subprocess.run(whole, capture_output=True, text=True, check=False, cwd=ROOT)


def test_machine_with_hidden_files_is_described_as_far_as_it_can_be() -> None:
    allowed = hidden("true")
    if allowed.returncode != 0:
        pytest.skip(f"no /proc of its own to be had here: {allowed.stderr.strip()}")
    done = hidden(sys.executable, "-c", ASK)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    unknown = ("other_load", "steal_percent", "throttled", "frequency_mhz", "turbo", "virtualised")
    assert {name: found[name] for name in unknown} == dict.fromkeys(unknown)
    assert found["cores"] >= 1
    assert found["memory_bytes"] > 0
    assert found["packages"]["numpy"][0].isdigit()
    # The process's own counts are still there.
    assert found["waited_percent"] is not None
    assert found["why"].startswith("the kernel shows no energy counters")
