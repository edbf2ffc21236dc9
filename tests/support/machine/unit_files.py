"""The files under systemd/, and systemd's own tools on them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "systemd"
DROP_INS = FOLDER / "drop-ins"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd's tools are not installed"
)


def run(
    *command: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **(environment or {})},
    )
    assert result.returncode == 0, result.stderr
    return result


def source_of(unit: str) -> Path:
    return FOLDER / re.sub("@.*[.]", "@.", unit)


def found_in(folder: Path) -> dict[str, str]:
    # The empty last part keeps the machine's own units, such as multi-user.target.
    return {"SYSTEMD_UNIT_PATH": f"{folder}:"}


def systemd_version() -> int:
    return int(run("systemd-analyze", "--version").stdout.split()[1])


def settings(path: Path) -> list[tuple[str, str]]:
    """Every assignment of a unit with its key, in order, without comments."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    return [(line.partition("=")[0], line) for line in lines]


def machine(folder: Path, unit: str, drop_in: str | None, replace: Mapping[str, str]) -> list[Path]:
    """Lay out a unit and a drop-in as under /etc; gives the environment that finds them."""
    source = source_of(unit)
    targets = [(source, folder / source.name)]
    if drop_in:
        targets.append((DROP_INS / f"{drop_in}.conf", folder / f"{unit}.d" / f"{drop_in}.conf"))
    for origin, target in targets:
        text = origin.read_text()
        for old, new in replace.items():
            text = text.replace(old, new)
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
    return [target for _, target in targets]


def exposure(folder: Path, unit: str) -> float:
    """What `systemd-analyze security` says of a unit that was laid out."""
    words = ("systemd-analyze", "security", "--offline=yes", unit)
    result = run(*words, environment=found_in(folder))
    found = re.search(r"exposure level for \S+: ([0-9.]+)", result.stdout)
    assert found is not None
    return float(found[1])
