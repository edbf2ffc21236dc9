"""What the files hold that `edge-daemon install` writes, made from those under systemd/."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.mounts import is_on_share, mount_point

PREFIX: Final = Path("/opt/microscope-edge")

# A link to systemd/ in a checkout; plain files in a wheel.
_SHIPPED: Final = Path(__file__).parent / "units"
# The example's values, replaced by this site's.
_ANALYZER: Final = "dm96"
_STATE: Final = "/var/lib/microscope-edge"


@dataclass(frozen=True, slots=True)
class Site:
    """What is to be installed where. Paths are as the running system will see them.

    `root` stands before every path that is written: the folder of an image, or /.
    """

    instance: str | None
    bundle: Path | None
    watch: Path | None
    results: Path | None
    share: str | None
    has_gpu: bool
    prefix: Path
    root: Path

    @property
    def unit(self) -> str:
        """The unit's name for `systemctl`."""
        return f"edge-daemon@{self.instance}" if self.instance else "edge-daemon"

    @property
    def unit_file(self) -> str:
        """The file that the unit is made of."""
        return "edge-daemon@.service" if self.instance else "edge-daemon.service"

    @property
    def config(self) -> Path:
        """The configuration that the unit reads."""
        return Path("/etc/microscope-edge") / f"{self.instance or 'edge'}.yaml"

    def at(self, path: Path) -> Path:
        """Where a path lies while it is installed."""
        return self.root / path.relative_to("/")


def shipped(name: str) -> str:
    """A file of systemd/ as it is."""
    return (_SHIPPED / name).read_text()


def unit(site: Site) -> str:
    """The unit, for the program where it is installed."""
    return shipped(site.unit_file).replace(str(PREFIX), str(site.prefix))


def tmpfiles(site: Site) -> str:
    """The folders that the daemon needs before its first start."""
    lines = shipped("edge-daemon.tmpfiles.conf").replace(_ANALYZER, site.instance or _ANALYZER)
    made = []
    for line in lines.splitlines():
        # A folder of its own in place of a share would hide that the share is not mounted.
        if site.results is None or ("results" not in line and "/srv/" not in line):
            made.append(line)
        if site.instance and line.startswith(f"d {_STATE} "):
            made.append(line.replace(_STATE, f"{_STATE}/{site.instance}"))
    text = "\n".join(made) + "\n"
    return text.replace("d/edge-daemon.conf", f"d/{site.unit.replace('@', '-')}.conf")


def config(site: Site) -> str:
    """The example's configuration with this site's folders; its comments stay."""
    text = shipped("edge.yaml").replace(str(PREFIX), str(site.prefix))
    state = None
    if site.instance:
        text = text.replace(f"/srv/{_ANALYZER}/", f"/srv/{site.instance}/")
        text = text.replace("microscope-edge/edge.yaml", f"microscope-edge/{site.instance}.yaml")
        state = Path(_STATE) / site.instance
    text = _with_value(text, "bundle: ", site.bundle)
    text = _with_value(text, "  - folder: ", site.watch)
    text = _with_value(text, "  folder: ", site.results)
    return _with_value(text, "state_dir: ", state)


def share_drop_in(site: Site) -> str:
    """The folder that the unit may write to, and the group that may use the folders."""
    lines = [
        "# Written by `edge-daemon install`; drop-ins/share.conf of microscope-edge has reasons."
    ]
    lines.append("[Service]")
    if site.results:
        lines.append(f"ReadWritePaths={_unit_text(f'-{_writable(site, site.results)}')}")
    if site.share:
        lines.append(f"SupplementaryGroups={site.share}")
    return "\n".join(lines) + "\n"


def _with_value(text: str, key: str, path: Path | None) -> str:
    if path is None:
        return text
    # A JSON string is a YAML string, whatever is in it.
    value = str(path) if re.fullmatch(r"[\w/.-]+", str(path)) else json.dumps(str(path))
    lines = [f"{key}{value}" if line.startswith(key) else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def _writable(site: Site, results: Path) -> str:
    """The results folder, or the mount point of the share that it lies on.

    A folder below the mount point is bound into the service by systemd, and stays the old share's
    when that is mounted anew.
    """
    if site.root == Path("/") and is_on_share(results):
        return mount_point(results)
    return str(results)


def _unit_text(text: str) -> str:
    """A path as systemd.syntax(7) quotes it; % would begin a specifier."""
    text = text.replace("%", "%%")
    return text if re.fullmatch(r"[\w/.%-]+", text) else json.dumps(text, ensure_ascii=False)
