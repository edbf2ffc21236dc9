"""Installs GNU Health lab outside of the checkout, and runs Tryton's own import in it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.environments import environment, run

# Released in 2026-04 under the GPL: it runs in its own process and environment, as a LIS does.
PACKAGES: Final = ("gnuhealth-lab==5.0.4", "gnuhealth==5.0.6", "trytond==7.0.59")
_DATABASE: Final = "lab"
_STEPS_TIMEOUT_S: Final = 300


@dataclass(frozen=True, slots=True)
class GnuHealth:
    """An own copy of a new GNU Health database, and the program that works in it."""

    python: Path
    config: Path

    def do(self, steps: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """Do steps as `in_tryton.py` describes them; an answer for each, in order."""
        done = subprocess.run(
            [self.python, Path(__file__).with_name("in_tryton.py"), self.config, _DATABASE],
            input=json.dumps(steps),
            capture_output=True,
            text=True,
            timeout=_STEPS_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers


def new_gnuhealth(folder: Path) -> GnuHealth:
    """A new database in this folder; what it is copied from is made once and kept."""
    installed = environment(PACKAGES, _make_database)
    shutil.copy(installed / f"{_DATABASE}.sqlite", folder)
    return GnuHealth(installed / "venv/bin/python", _write_config(folder))


def _make_database(folder: Path) -> None:
    """A database that nobody has used, beside the environment in `folder`."""
    database = folder / f"{_DATABASE}.sqlite"
    database.unlink(missing_ok=True)
    # Tryton opens no SQLite database that is not there.
    database.touch()
    password = folder / "password"
    password.write_text("lab")
    run(
        [
            *(folder / "venv/bin/trytond-admin", "-c", _write_config(folder), "-d", _DATABASE),
            *("-u", "health_lab", "--activate-dependencies", "--email", "lab@example.org"),
        ],
        env={"TRYTONPASSFILE": str(password)},
    )


def _write_config(folder: Path) -> Path:
    config = folder / "trytond.conf"
    config.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n")
    return config
