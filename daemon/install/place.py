"""The paths of one installed daemon, and what earlier installations left there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.install.files import SYSTEM, mark
from edge.install.records import ETC, RESULTS, SUFFIX, read_record, text_of
from edge.install.unit_text import unquoted

# The name of the daemon without instance, for the files of its configuration and record.
PLAIN: Final = "edge"
PROGRAM: Final = "edge-daemon"
# Beginning of the first line of files that `edge-daemon install` makes.
MARK: Final = mark(PROGRAM)

_STATE: Final = Path("/var/lib/microscope-edge")
_RUNTIME: Final = Path("/run/microscope-edge")


@dataclass(frozen=True, slots=True)
class Place:
    """Names and paths of one daemon on a system.

    Attributes:
        instance: its name, None for the daemon without one.
        root: the system's root folder: /, or the folder of a disk image.
    """

    instance: str | None = None
    root: Path = Path("/")

    @property
    def name(self) -> str:
        """The instance, or `edge` if there is none."""
        return self.instance or PLAIN

    @property
    def unit(self) -> str:
        """The unit's name for `systemctl`."""
        return f"edge-daemon@{self.instance}" if self.instance else "edge-daemon"

    @property
    def unit_file(self) -> Path:
        """The unit's file, which all instances share."""
        return SYSTEM / ("edge-daemon@.service" if self.instance else "edge-daemon.service")

    @property
    def drop_ins(self) -> Path:
        """The folder of the unit's drop-ins."""
        return SYSTEM / f"{self.unit}.service.d"

    @property
    def tmpfiles(self) -> Path:
        """The file from which systemd-tmpfiles makes the daemon's folders at each boot."""
        return Path("/etc/tmpfiles.d") / f"{self.unit.replace('@', '-')}.conf"

    @property
    def config(self) -> Path:
        """The configuration that the unit reads."""
        return ETC / f"{self.name}.yaml"

    @property
    def record(self) -> Path:
        """The list of the files that `install` wrote; `uninstall` removes only these."""
        return ETC / f"{self.name}{SUFFIX}"

    @property
    def state_dir(self) -> Path:
        """StateDirectory= of the unit."""
        return _STATE / self.instance if self.instance else _STATE

    @property
    def runtime_dir(self) -> Path:
        """RuntimeDirectory= of the unit, for the metrics' socket."""
        return _RUNTIME / self.instance if self.instance else _RUNTIME

    @property
    def is_image(self) -> bool:
        """Whether `root` is another system's, not the running one's."""
        return self.root != Path("/")

    @property
    def option(self) -> str:
        """The option that names this daemon on a command line, after a space; may be empty."""
        return f" --instance {self.instance}" if self.instance else ""

    def at(self, path: Path) -> Path:
        """A path below `root`."""
        return self.root / path.relative_to("/")

    def text_of(self, path: Path) -> str | None:
        """The content of a file below `root`, None if there is none."""
        return text_of(self.at(path))


@dataclass(frozen=True, slots=True)
class Installed:
    """The options of earlier installations, and the hash of each file that they wrote.

    `makes_results` is also true if nothing is installed yet.
    """

    prefix: Path | None
    share: str | None
    has_gpu: bool
    makes_results: bool
    hashes: dict[str, str]


def read_installed(place: Place) -> Installed:
    """What earlier installations left, from their files."""
    unit = place.text_of(place.unit_file) or ""
    program = re.search(r"^ExecStart=(\S+)/bin/edge-daemon ", unit, re.MULTILINE)
    share = place.text_of(place.drop_ins / "share.conf") or ""
    group = re.search("^SupplementaryGroups=(.+)$", share, re.MULTILINE)
    return Installed(
        prefix=Path(program[1]) if program else None,
        share=unquoted(group[1]) if group else None,
        has_gpu=place.at(place.drop_ins / "gpu.conf").is_file(),
        makes_results="results" in (place.text_of(place.tmpfiles) or "results"),
        hashes=read_record(place.at(place.record)),
    )


def places(root: Path = Path("/")) -> list[Place]:
    """All daemons of a system with a configuration or a record, the one without name first."""
    files = Place(root=root).at(ETC).glob("*.*")
    names = {path.stem for path in files if path.suffix in (".yaml", SUFFIX)}
    names = {name for name in names if not name.startswith(RESULTS)}
    found = [Place(None if name == PLAIN else name, root) for name in names]
    return sorted(found, key=lambda place: place.instance or "")
