"""The paths of one installed edge-results, and what earlier installations left there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.install.files import SYSTEM, mark
from edge.install.records import ETC, RESULTS, SUFFIX, digest, read_record, text_of
from edge.install.unit_text import unquoted

PROGRAM: Final = "edge-results"
# The analyzer of the example's configuration, which is replaced.
ANALYZER: Final = "dm96"
_STATE: Final = Path("/var/lib/microscope-edge-results")


@dataclass(frozen=True, slots=True)
class Place:
    """Names and paths of one service on a system.

    Attributes:
        instance: the analyzer's name.
        root: the system's root folder: /, or the folder of a disk image.
    """

    instance: str
    root: Path = Path("/")

    @property
    def unit(self) -> str:
        """The unit's name for `systemctl`."""
        return f"edge-results@{self.instance}"

    @property
    def unit_file(self) -> Path:
        """The unit's file, which all instances share."""
        return SYSTEM / "edge-results@.service"

    @property
    def drop_ins(self) -> Path:
        """The folder of the unit's drop-ins."""
        return SYSTEM / f"{self.unit}.service.d"

    @property
    def config(self) -> Path:
        """The configuration that the unit reads."""
        return ETC / f"{RESULTS}{self.instance}.yaml"

    @property
    def record(self) -> Path:
        """The list of the files that `install` wrote; `uninstall` removes only these."""
        return ETC / f"{RESULTS}{self.instance}{SUFFIX}"

    @property
    def state_dir(self) -> Path:
        """StateDirectory= of the unit."""
        return _STATE / self.instance

    @property
    def drop(self) -> Path:
        """The example's drop folder, which the unit may write to without a drop-in."""
        return Path("/srv") / self.instance / "lis"

    @property
    def is_image(self) -> bool:
        """Whether `root` is another system's, not the running one's."""
        return self.root != Path("/")

    def at(self, path: Path) -> Path:
        """A path below `root`."""
        return self.root / path.relative_to("/")

    def text_of(self, path: Path) -> str | None:
        """The content of a file below `root`, None if there is none."""
        return text_of(self.at(path))


@dataclass(frozen=True, slots=True)
class Installed:
    """The options of earlier installations, and the hash of each file that they wrote."""

    prefix: Path | None
    share: str | None
    hashes: dict[str, str]

    def wrote(self, path: Path, present: str) -> bool:
        """Whether a file is unchanged since an installation wrote it."""
        recorded = self.hashes.get(str(path))
        return digest(present) == recorded if recorded else present.startswith(mark(PROGRAM))


def read_installed(place: Place) -> Installed:
    """What earlier installations left, from their files."""
    unit = place.text_of(place.unit_file) or ""
    program = re.search(r"^ExecStart=(\S+)/bin/edge-results ", unit, re.MULTILINE)
    share = place.text_of(place.drop_ins / "share.conf") or ""
    group = re.search("^SupplementaryGroups=(.+)$", share, re.MULTILINE)
    return Installed(
        prefix=Path(program[1]) if program else None,
        share=unquoted(group[1]) if group else None,
        hashes=read_record(place.at(place.record)),
    )


def other_places(place: Place) -> list[Place]:
    """All other services of the system that were installed, by their names."""
    found = place.at(ETC).glob(f"{RESULTS}*{SUFFIX}")
    names = sorted(path.name.removeprefix(RESULTS).removesuffix(SUFFIX) for path in found)
    return [Place(name, place.root) for name in names if name != place.instance]
