"""`edge-results uninstall`: removes the files that `install` wrote.

Issued results, the outbox, the configuration and every folder stay: what was sent must be known
when the service is installed again. Files that were changed since are named and stay.
"""

from __future__ import annotations

from edge.errors import ConfigError
from edge.install.removal import removal_steps
from edge.install.steps import KeepStep, Step
from edge.results.install.place import Place
from edge.results.install.site import name_problems


def plan(place: Place) -> list[Step]:
    """All files to remove and commands to run, in order.

    Raises:
        ConfigError: nothing is installed there, or the names are wrong.
    """
    problems = list(name_problems(place))
    if not problems and not place.at(place.record).exists():
        problems = [f"{place.unit} is not installed here."]
    if problems:
        raise ConfigError("\n".join(problems))
    kept = [path for path in (place.config, place.state_dir) if place.at(path).exists()]
    return [*removal_steps(place), *(KeepStep(path, "yours; remove it by hand") for path in kept)]
