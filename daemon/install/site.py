"""What to install: the options of `edge-daemon install`, completed by what is installed already."""

from __future__ import annotations

import re
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.config.config import Config, load_config
from daemon.install.place import (
    PLAIN,
    Installed,
    Place,
    places,
    read_installed,
)
from daemon.install.unit_files import config_text
from daemon.intake.inotify_probe import PROBE_NAME
from daemon.model.open_model import ENGINES_NAME
from daemon.supervision.known_image import IMAGES_NAME
from edge.errors import ConfigError
from edge.install.files import PREFIX
from edge.install.groups import group_word
from edge.install.options import group_problems, lost_group, path_problem
from edge.install.program import hidden_program
from edge.install.records import ETC, RESULTS

# Folders that a daemon makes in its state folder, which also contains those of instances.
STATE_FOLDERS: Final = (ENGINES_NAME, PROBE_NAME, IMAGES_NAME)
# Names that an instance must not have; `edge` is that of the daemon without instance.
_RESERVED: Final = (PLAIN, *STATE_FOLDERS)
_INSTANCE: Final = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Site:
    """What to install where.

    Attributes:
        place: the daemon's paths.
        prefix: the folder of the program.
        share: a group that the service gets.
        has_gpu: whether the service may use the GPU.
        installed: what earlier installations left.
        keeps_config: whether there is a configuration, which is kept.
        config_text: the text of this or of the new configuration.
        config: its content.
        makes_results: whether the example's results folder is made at each boot, if it is used.
            A folder that a person named is not made.
    """

    place: Place
    prefix: Path
    share: str | None
    has_gpu: bool
    installed: Installed
    keeps_config: bool
    config_text: str
    config: Config
    makes_results: bool

    @property
    def program(self) -> Path:
        """The command that the unit runs."""
        return self.prefix / "bin" / "edge-daemon"

    def missing_folders(self) -> list[Path]:
        """Folders of the configuration that do not exist; empty for a disk image."""
        if self.place.is_image:
            return []
        made = self.config.results.folder if self.makes_results else None
        return [path for path in self.config.folders if path != made and not path.is_dir()]


def site_of(arguments: Namespace) -> Site:
    """Check the options; those not given are taken from what is installed.

    Raises:
        ConfigError: one line for every option that cannot work, and for an existing configuration
            that is wrong.
    """
    place = Place(arguments.instance, arguments.root.absolute())
    problems = [
        *name_problems(place),
        *_path_problems(arguments),
        *group_problems(place.root, arguments.share),
    ]
    _refuse(arguments, problems)
    installed = read_installed(place)
    prefix = arguments.prefix or installed.prefix or PREFIX
    kept = place.text_of(place.config)
    folders = _folders(arguments)
    text = config_text(place, prefix, folders) if kept is None else kept
    site = Site(
        place=place,
        prefix=prefix,
        share=group_word(place.root, arguments.share) or installed.share,
        has_gpu=arguments.gpu or installed.has_gpu,
        installed=installed,
        keeps_config=kept is not None,
        config_text=text,
        config=_new_config(place, text) if kept is None else _kept_config(place),
        makes_results=arguments.results is None and installed.makes_results,
    )
    problems = [
        *lost_group(place.root, site.share, place.drop_ins),
        *_contradictions(site, folders),
        *_taken_folders(site),
    ]
    if not place.is_image and (problem := hidden_program(site.program)):
        problems.append(problem)
    _refuse(arguments, problems)
    return site


def _refuse(arguments: Namespace, problems: list[str]) -> None:
    """Raise ConfigError with all problems and all missing folders, one line for each option."""
    if problems:
        named = {problem.split(" ", 1)[0] for problem in problems}
        missing = (line for line in _missing(arguments) if line.split(" ", 1)[0] not in named)
        raise ConfigError("\n".join([*problems, *missing]))


def name_problems(place: Place) -> Iterator[str]:
    """What is wrong with the names of the instance and of the root folder."""
    if place.instance is not None and not _INSTANCE.fullmatch(place.instance):
        yield f"--instance {place.instance!r}: give letters, digits, - and _, at most 64."
    if place.instance in _RESERVED or (place.instance or "").startswith(RESULTS):
        yield f"--instance {place.instance}: this name is reserved; choose another."
    if not place.root.is_dir():
        yield f"--root {place.root}: there is no such folder."


def _path_problems(arguments: Namespace) -> Iterator[str]:
    root = arguments.root.absolute()
    for option, path in {**_folders(arguments), "prefix": arguments.prefix}.items():
        if path is not None and (problem := path_problem(option, path, root)):
            yield problem


def _taken_folders(site: Site) -> Iterator[str]:
    """Folders that another daemon of this machine uses, so that this one could not start."""
    own = site.config
    for other in places(site.place.root):
        if other == site.place or not other.at(other.record).exists():
            continue
        with suppress(ConfigError):  # the other daemon's configuration is not checked here
            taken = _kept_config(other)
            pairs = [(a.folder, b.folder) for a in own.watch for b in taken.watch]
            shared = [a for a, b in pairs if a.is_relative_to(b) or b.is_relative_to(a)]
            if own.results.folder and own.results.folder == taken.results.folder:
                shared.append(own.results.folder)
            for folder in shared:
                yield (
                    f"{folder} belongs to {other.unit} ({other.config}). Give each daemon its own "
                    f"folders, or remove that one first: edge-daemon uninstall{other.option}"
                )


def _missing(arguments: Namespace) -> Iterator[str]:
    """Options that name folders that do not exist."""
    if arguments.root.absolute() != Path("/"):
        return
    for option, path in _folders(arguments).items():
        if path is not None and not path.is_dir():
            yield f"--{option} {path}: there is no such folder yet. Mount or make it."


def _folders(arguments: Namespace) -> dict[str, Path | None]:
    return {name: getattr(arguments, name) for name in ("bundle", "watch", "results")}


def _contradictions(site: Site, folders: dict[str, Path | None]) -> Iterator[str]:
    """Options that differ from the existing configuration, which is kept."""
    config = site.config
    present: dict[str, list[Path | None]] = {
        "bundle": [config.bundle],
        "watch": [watch.folder for watch in config.watch],
        "results": [config.results.folder],
    }
    for option, path in folders.items():
        if site.keeps_config and path is not None and path not in present[option]:
            kept = ", ".join(map(str, present[option])).replace("None", "null")
            yield (
                f"--{option} {path}: {site.place.config} is kept, and has {kept}. Change it "
                "there, then install again without this option."
            )


def _kept_config(place: Place) -> Config:
    return load_config(place.at(place.config), base=ETC)


def _new_config(place: Place, text: str) -> Config:
    """A new configuration, loaded as the daemon will load it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / place.config.name
        path.write_text(text, "utf-8")
        try:
            return load_config(path, base=ETC)
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(path), str(place.config))) from error
