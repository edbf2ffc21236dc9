"""Where one daemon of a machine has its unit, configuration and folders, and what lies there."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.install.unit_text import unquoted

PREFIX: Final = Path("/opt/microscope-edge")
ETC: Final = Path("/etc/microscope-edge")
# The name of the daemon without an instance: of its configuration and its record.
PLAIN: Final = "edge"
# The first line of a drop-in that `edge-daemon install` made of the configuration.
MARK: Final = "# Written by `edge-daemon install`"

_STATE: Final = Path("/var/lib/microscope-edge")
_RUNTIME: Final = Path("/run/microscope-edge")
_SYSTEM: Final = Path("/etc/systemd/system")


@dataclass(frozen=True, slots=True)
class Place:
    """Names and paths of one daemon, as the running system sees them.

    `instance` None is the daemon without a name. `root` stands before every path that is read or
    written: the folder of an image, or /.
    """

    instance: str | None = None
    root: Path = Path("/")

    @property
    def name(self) -> str:
        """The instance, or what stands for none in the names of files."""
        return self.instance or PLAIN

    @property
    def unit(self) -> str:
        """The unit's name for `systemctl`."""
        return f"edge-daemon@{self.instance}" if self.instance else "edge-daemon"

    @property
    def unit_file(self) -> Path:
        """The file that the unit is made of; all instances share theirs."""
        return _SYSTEM / ("edge-daemon@.service" if self.instance else "edge-daemon.service")

    @property
    def drop_ins(self) -> Path:
        """The folder of the unit's drop-ins."""
        return _SYSTEM / f"{self.unit}.service.d"

    @property
    def tmpfiles(self) -> Path:
        """The file that makes the daemon's folders at the boot."""
        return Path("/etc/tmpfiles.d") / f"{self.unit.replace('@', '-')}.conf"

    @property
    def config(self) -> Path:
        """The configuration that the unit reads."""
        return ETC / f"{self.name}.yaml"

    @property
    def record(self) -> Path:
        """What `install` wrote, so that `uninstall` removes that alone."""
        return ETC / f"{self.name}.installed"

    @property
    def state_dir(self) -> Path:
        """StateDirectory= of the unit."""
        return _STATE / self.instance if self.instance else _STATE

    @property
    def runtime_dir(self) -> Path:
        """RuntimeDirectory= of the unit, for a socket of the metrics."""
        return _RUNTIME / self.instance if self.instance else _RUNTIME

    @property
    def is_image(self) -> bool:
        """Whether this is the folder of another system, not the one that runs."""
        return self.root != Path("/")

    @property
    def option(self) -> str:
        """What names this daemon on a command line, with a space before it."""
        return f" --instance {self.instance}" if self.instance else ""

    def at(self, path: Path) -> Path:
        """Where a path lies while it is installed."""
        return self.root / path.relative_to("/")

    def text_of(self, path: Path) -> str | None:
        """The content of a file, None where there is none."""
        return text_of(self.at(path))


def text_of(path: Path) -> str | None:
    """The content of a file, None where there is none. What is not UTF-8 equals nothing of ours."""
    try:
        return path.read_text("utf-8", "backslashreplace")
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class Installed:
    """What is installed already: the options of before, and the hash of each file written.

    `makes_results` is true also where nothing is installed yet.
    """

    prefix: Path | None
    share: str | None
    has_gpu: bool
    makes_results: bool
    hashes: dict[str, str]


def read_installed(place: Place) -> Installed:
    """What earlier installations left at a place, nothing where there was none."""
    unit = place.text_of(place.unit_file) or ""
    program = re.search(r"^ExecStart=(\S+)/bin/edge-daemon ", unit, re.MULTILINE)
    share = place.text_of(place.drop_ins / "share.conf") or ""
    group = re.search("^SupplementaryGroups=(.+)$", share, re.MULTILINE)
    return Installed(
        prefix=Path(program[1]) if program else None,
        share=unquoted(group[1]) if group else None,
        has_gpu=place.at(place.drop_ins / "gpu.conf").is_file(),
        makes_results="results" in (place.text_of(place.tmpfiles) or "results"),
        hashes=read_record(place),
    )


def read_record(place: Place) -> dict[str, str]:
    """The files that `install` wrote, with their SHA-256; empty where nothing is recorded."""
    with suppress(ValueError, AttributeError):
        files = json.loads(place.text_of(place.record) or "{}").get("files", {})
        return {str(path): str(digest) for path, digest in files.items()}
    return {}


def record_text(hashes: dict[str, str]) -> str:
    """The record of files, by their paths, with their SHA-256."""
    return json.dumps({"files": dict(sorted(hashes.items()))}, indent=1, ensure_ascii=False) + "\n"


def digest(content: str) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def places(root: Path = Path("/")) -> list[Place]:
    """Every daemon of a machine with a configuration or a record, the one without a name first."""
    files = Place(root=root).at(ETC).glob("*.*")
    names = {path.stem for path in files if path.suffix in (".yaml", ".installed")}
    found = [Place(None if name == PLAIN else name, root) for name in names]
    return sorted(found, key=lambda place: place.instance or "")
