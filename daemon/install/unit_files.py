"""The contents of the files that `edge-daemon install` writes, made from those in systemd/."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from daemon.config.config import Config
from daemon.config.metrics_config import Address
from daemon.install.place import MARK, PREFIX, Place
from daemon.install.unit_text import quoted
from daemon.system.mounts import is_on_share, mount_point

# In a checkout a link to systemd/, in a wheel a folder.
_SHIPPED: Final = Path(__file__).parents[1] / "units"
# The example's values, which are replaced.
_ANALYZER: Final = "dm96"
_STATE: Final = "/var/lib/microscope-edge"
_RUNTIME: Final = "/run/microscope-edge"


def shipped(name: str) -> str:
    """The content of a file of systemd/."""
    return (_SHIPPED / name).read_text("utf-8")


def unit(place: Place, prefix: Path) -> str:
    """The unit, with the path of the installed program."""
    return shipped(place.unit_file.name).replace(str(PREFIX), str(prefix))


def config_text(place: Place, prefix: Path, folders: Mapping[str, Path | None]) -> str:
    """The example's configuration with other folders; its comments stay."""
    text = shipped("edge.yaml").replace(str(PREFIX), str(prefix))
    state = None
    if place.instance:
        text = text.replace(f"/srv/{_ANALYZER}/", f"/srv/{place.instance}/")
        text = text.replace(f"unix:{_RUNTIME}/", f"unix:{place.runtime_dir}/")
        text = text.replace("check-config --installed", f"check-config --installed{place.option}")
        state = place.state_dir
    text = _with_value(text, "bundle: ", folders["bundle"])
    text = _with_value(text, "  - folder: ", folders["watch"])
    text = _with_value(text, "  folder: ", folders["results"])
    return _with_value(text, "state_dir: ", state)


def tmpfiles(place: Place, config: Config, *, makes_results: bool) -> str:
    """The tmpfiles.d file, which makes the folders that the daemon needs before its first start."""
    makes_results = makes_results and config.results.folder == example_results(place)
    lines = shipped("edge-daemon.tmpfiles.conf").replace(_ANALYZER, place.instance or _ANALYZER)
    made = []
    for line in lines.splitlines():
        # Without those below /srv: a local folder there would hide that a share is not mounted.
        if makes_results or ("results" not in line and "/srv/" not in line):
            made.append(line)
        own = next((own for own in (_STATE, _RUNTIME) if line.startswith(f"d {own} ")), None)
        if own and place.instance:
            made.append(line.replace(own, f"{own}/{place.instance}"))
    text = "\n".join(made) + "\n"
    return text.replace("d/edge-daemon.conf", f"d/{place.tmpfiles.name}")


def example_results(place: Place) -> Path:
    """The results folder of the example, which the unit may write to without a drop-in."""
    return Path("/srv") / (place.instance or _ANALYZER) / "results"


def share_drop_in(place: Place, config: Config, share: str | None) -> str | None:
    """A drop-in with more folders that the unit may write to, and its group; None: not needed."""
    folder = config.results.folder
    written = [folder] if folder else [watch.folder for watch in config.watch]
    paths = [*written, config.state_dir]
    lines = _write_lines(place, (path for path in paths if not _may_write(place, path)))
    if share:
        lines.append(f"SupplementaryGroups={quoted(share)}")
    return _drop_in(place, "share.conf", lines) if lines else None


def metrics_drop_in(place: Place, config: Config) -> str | None:
    """A drop-in that lets the unit serve and write the metrics; None: not needed."""
    listen, file = config.metrics.listen, config.metrics.file
    paths = [path.parent for path in (listen and listen.path, file) if path]
    lines = _loopback_lines(listen) if listen and listen.host else []
    lines += _write_lines(place, (path for path in paths if not _may_write(place, path)))
    return _drop_in(place, "metrics.conf", lines) if lines else None


def _loopback_lines(address: Address) -> list[str]:
    text = shipped("drop-ins/metrics.conf").partition("[Service]\n")[2]
    return re.sub("AF_INET$", address.family.name, text, flags=re.MULTILINE).splitlines()


def _drop_in(place: Place, name: str, lines: list[str]) -> str:
    head = f"{MARK} for {place.config}; drop-ins/{name} of microscope-edge has reasons."
    return "\n".join([head, "[Service]", *lines]) + "\n"


def _may_write(place: Place, path: Path) -> bool:
    """Whether the unit may write there without a drop-in."""
    own = (place.state_dir, place.runtime_dir, example_results(place))
    return any(path.is_relative_to(folder) for folder in own)


def _write_lines(place: Place, paths: Iterable[Path]) -> list[str]:
    folders = dict.fromkeys(_writable(place, path) for path in paths)
    # With the dash the service also starts if the folder is missing.
    return [f"ReadWritePaths={quoted(f'-{folder}')}" for folder in folders]


def _writable(place: Place, folder: Path) -> str:
    """A folder, or the mount point of its share.

    systemd binds the folder into the service. After the share is mounted again, a folder below the
    mount point would still be the old one.
    """
    if not place.is_image and is_on_share(folder):
        return mount_point(folder)
    return str(folder)


def _with_value(text: str, key: str, path: Path | None) -> str:
    if path is None:
        return text
    # A JSON string is a YAML string too. Without ASCII escapes, as JSON writes characters beyond 16
    # bits as two, which YAML reads as two characters.
    plain = re.fullmatch(r"[\w/.-]+", str(path))
    value = str(path) if plain else json.dumps(str(path), ensure_ascii=False)
    lines = [f"{key}{value}" if line.startswith(key) else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"
