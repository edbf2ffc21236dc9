"""The files under systemd/, and systemd's own tools on them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "systemd"
DROP_INS = FOLDER / "drop-ins"


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
