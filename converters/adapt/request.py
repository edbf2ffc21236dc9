"""The options of an adaptation."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from converters.accuracy.gate import Gate
from converters.bundle.place import require_target
from edge.errors import ConfigError

# As in the local part of a version: it stands in sidecars, metrics and file names.
_SITE: Final = re.compile(r"[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*")
# Options of a conversion or of engines, which would have no effect.
_WITHOUT_EFFECT: Final = ("int8", "engine", "new_card", "calibration", "validation", "strict")


@dataclass(frozen=True, slots=True)
class AdaptRequest:
    """A bundle, the folder of labelled cells, and where the new bundle goes.

    Attributes:
        labelled: the folder, or the configuration of `edge-results` for the cells signed there.
        site: short name of the laboratory, for the new version.
    """

    parent: Path
    labelled: Path
    target: Path
    site: str
    gate: Gate
    overwrite: bool = False


def adapt_request(arguments: argparse.Namespace, gate: Gate) -> AdaptRequest:
    """Read and check the options.

    Raises:
        ConfigError: they do not go together, or the target may not be written.
    """
    for name in _WITHOUT_EFFECT:
        if getattr(arguments, name):
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} has no effect with --adapt. Leave it out.")
    labelled: Path = arguments.adapt
    if labelled.is_file() and not arguments.site:
        raise ConfigError(
            f"{labelled} names no laboratory. Give --site NAME, which becomes part of the version."
        )
    site = arguments.site or labelled.resolve().name
    if not _SITE.fullmatch(site):
        raise ConfigError(
            f"{site!r} cannot be part of a version; give --site NAME of letters, digits, dots and "
            "hyphens."
        )
    parent: Path = arguments.model
    target = arguments.out or Path(f"{parent.resolve().stem}-{site}.edge")
    require_target(target, [parent, labelled], overwrite=arguments.overwrite)
    if target.resolve().is_relative_to(labelled.resolve()):
        raise ConfigError(
            f"{target} would lie among the labelled images of {labelled}; give --out another place."
        )
    return AdaptRequest(parent, labelled, target, site, gate, arguments.overwrite)


def adapted_version(version: str, site: str) -> str:
    """The version of a bundle that was adapted to a site: `2.1.0+raabin`, then `2.1.0+raabin.b`."""
    return f"{version}{'.' if '+' in version else '+'}{site}"
