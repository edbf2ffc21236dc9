"""The contents of the files that `edge-daemon install` writes, made from those in systemd/."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from daemon.config.config import Config
from daemon.config.metrics_config import Address
from daemon.install.place import PROGRAM, Place
from edge.install.files import PREFIX, drop_in, shipped, with_value, write_lines
from edge.install.unit_text import quoted

# The example's values, which are replaced.
_ANALYZER: Final = "dm96"
_STATE: Final = "/var/lib/microscope-edge"
_RUNTIME: Final = "/run/microscope-edge"


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
    text = with_value(text, "bundle: ", folders["bundle"])
    text = with_value(text, "  - folder: ", folders["watch"])
    text = with_value(text, "  folder: ", folders["results"])
    return with_value(text, "state_dir: ", state)


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
    closed = [path for path in paths if not _may_write(place, path)]
    lines = write_lines(closed, is_image=place.is_image)
    if share:
        lines.append(f"SupplementaryGroups={quoted(share)}")
    return drop_in(PROGRAM, place.config, "share.conf", lines) if lines else None


def metrics_drop_in(place: Place, config: Config) -> str | None:
    """A drop-in that lets the unit serve and write the metrics; None: not needed."""
    listen, file = config.metrics.listen, config.metrics.file
    paths = [path.parent for path in (listen and listen.path, file) if path]
    lines = _loopback_lines(listen) if listen and listen.host else []
    closed = [path for path in paths if not _may_write(place, path)]
    lines += write_lines(closed, is_image=place.is_image)
    return drop_in(PROGRAM, place.config, "metrics.conf", lines) if lines else None


def _loopback_lines(address: Address) -> list[str]:
    text = shipped("drop-ins/metrics.conf").partition("[Service]\n")[2]
    return re.sub("AF_INET$", address.family.name, text, flags=re.MULTILINE).splitlines()


def _may_write(place: Place, path: Path) -> bool:
    """Whether the unit may write there without a drop-in."""
    own = (place.state_dir, place.runtime_dir, example_results(place))
    return any(path.is_relative_to(folder) for folder in own)
