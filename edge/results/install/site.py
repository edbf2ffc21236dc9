"""What to install: the options of `edge-results install`, completed by what is installed."""

from __future__ import annotations

import ipaddress
import json
import re
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.install.files import PREFIX, shipped, with_value
from edge.install.groups import group_word
from edge.install.options import group_problems, lost_group, path_problem
from edge.install.program import hidden_above, hidden_program
from edge.results.formats.shipped.table import FORMATS
from edge.results.install.place import (
    ANALYZER,
    PROGRAM,
    Installed,
    Place,
    other_places,
    read_installed,
)
from edge.results.send.config import SendConfig, load_send_config
from edge.results.send.targets.mllp import Receiver

FOLDERS: Final = ("sidecars", "images", "verifications", "bundle", "drop")
# Of the example's target with a drop folder.
_EXAMPLE_FORMAT: Final = "senaite"
_INSTANCE: Final = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Site:
    """What to install where.

    Attributes:
        place: the service's paths.
        prefix: the folder of the program.
        share: a group that the service gets.
        installed: what earlier installations left.
        config_text: the text of the existing or of the new configuration.
        config: its content.
    """

    place: Place
    prefix: Path
    share: str | None
    installed: Installed
    config_text: str
    config: SendConfig

    @property
    def program(self) -> Path:
        """The command that the unit runs."""
        return self.prefix / "bin" / PROGRAM

    @property
    def drops(self) -> list[Path]:
        """The drop folders."""
        return _drops(self.config)

    @property
    def receivers(self) -> list[str]:
        """The addresses of the receivers."""
        places = [target.place for target in self.config.targets]
        return list(dict.fromkeys(p.host for p in places if isinstance(p, Receiver)))

    def missing(self) -> list[Path]:
        """What the configuration names and is not there; empty for a disk image."""
        if self.place.is_image:
            return []
        slides = self.config.slides
        read = [slides.sidecars, slides.images, slides.verifications, *slides.bundles]
        paths = [path for path in (*read, self.config.codes, *self.drops) if path is not None]
        return [path for path in paths if not path.exists()]


def site_of(arguments: Namespace) -> Site:
    """Check the options; those not given are taken from what is installed.

    Raises:
        ConfigError: one line for every option that cannot work, and for an existing configuration
            that is wrong.
    """
    place = Place(arguments.instance, arguments.root.absolute())
    _refuse(
        [
            *name_problems(place),
            *_path_problems(arguments),
            *_format_problems(arguments),
            *group_problems(place.root, arguments.share),
        ]
    )
    installed = read_installed(place)
    prefix = arguments.prefix or installed.prefix or PREFIX
    kept = place.text_of(place.config)
    text = _new_text(place, prefix, arguments) if kept is None else kept
    site = Site(
        place=place,
        prefix=prefix,
        share=group_word(place.root, arguments.share) or installed.share,
        installed=installed,
        config_text=text,
        config=_loaded(place, text),
    )
    problems = [*_contradictions(site, arguments, text if kept is not None else None)]
    problems += [
        *_hidden_folders(site),
        *_unresolved(site),
        *lost_group(place.root, site.share, place.drop_ins),
    ]
    problems += _taken_folders(site)
    if not place.is_image and (problem := hidden_program(site.program)):
        problems.append(problem)
    _refuse(problems)
    return site


def name_problems(place: Place) -> Iterator[str]:
    """What is wrong with the names of the instance and of the root folder."""
    if not _INSTANCE.fullmatch(place.instance):
        yield f"--instance {place.instance!r}: give letters, digits, - and _, at most 64."
    if not place.root.is_dir():
        yield f"--root {place.root}: there is no such folder."


def _drops(config: SendConfig) -> list[Path]:
    return [target.place for target in config.targets if isinstance(target.place, Path)]


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ConfigError("\n".join(problems))


def _path_problems(arguments: Namespace) -> Iterator[str]:
    root = arguments.root.absolute()
    for option in (*FOLDERS, "prefix"):
        path: Path | None = getattr(arguments, option)
        if path is None:
            continue
        if problem := path_problem(option, path, root):
            yield problem
        elif option != "prefix" and root == Path("/") and not path.is_dir():
            yield f"--{option} {path}: there is no such folder yet. Mount or make it."


def _format_problems(arguments: Namespace) -> Iterator[str]:
    if arguments.format and arguments.drop is None:
        yield f"--format {arguments.format}: it is that of the drop folder; give --drop too."


def _new_text(place: Place, prefix: Path, arguments: Namespace) -> str:
    """The example's configuration with other folders; its comments stay."""
    text = shipped("results.yaml").replace(str(PREFIX), str(prefix))
    text = text.replace(f"/{ANALYZER}", f"/{place.instance}")
    text = with_value(text, "  device: ", place.instance)
    text = with_value(text, "  folder: ", arguments.sidecars)
    text = with_value(text, "  images: ", arguments.images)
    text = with_value(text, "  verifications: ", arguments.verifications)
    bundles = f"  bundles: {_list_of(arguments.bundle)}"
    text = re.sub(r"^  bundles: .*", lambda _: bundles, text, flags=re.MULTILINE)
    text = with_value(text, "    drop: ", arguments.drop)
    if arguments.format:
        for key in ("  - name: ", "    format: "):
            text = text.replace(f"{key}{_EXAMPLE_FORMAT}\n", f"{key}{arguments.format}\n")
    text = with_value(text, "    mllp: ", arguments.mllp)
    if (arguments.drop is None) == (arguments.mllp is None):
        return text
    # The example has a target of each kind.
    head, *targets = re.split(r"^(?=  - name: )", text, flags=re.MULTILINE)
    wanted = "    drop: " if arguments.drop else "    mllp: "
    return head + "".join(target for target in targets if wanted in target)


def _list_of(path: Path | None) -> str:
    """A list in YAML with one path, or the value for none."""
    return "null" if path is None else json.dumps([str(path)], ensure_ascii=False)


def _loaded(place: Place, text: str) -> SendConfig:
    """The configuration, as the service will load it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / place.config.name
        path.write_text(text, "utf-8", errors="surrogateescape")
        try:
            return load_send_config(path, FORMATS, base=place.config.parent)
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(path), str(place.config))) from error


def _contradictions(site: Site, arguments: Namespace, kept: str | None) -> Iterator[str]:
    """Options that differ from the existing configuration, which is kept."""
    if kept is None:
        return
    slides = site.config.slides
    present: dict[str, list[object]] = {
        "sidecars": [slides.sidecars],
        "images": [slides.images],
        "verifications": [slides.verifications],
        "bundle": list(slides.bundles),
        "drop": list(site.drops),
        "format": [t.format.name for t in site.config.targets if isinstance(t.place, Path)],
        "mllp": [str(t.place) for t in site.config.targets if isinstance(t.place, Receiver)],
    }
    for option, values in present.items():
        given = getattr(arguments, option)
        if given is not None and given not in values:
            found = ", ".join("null" if value is None else str(value) for value in values)
            yield (
                f"--{option} {given}: {site.place.config} is kept, and has {found or 'none'}. "
                "Change it there, then install again without this option."
            )


def _taken_folders(site: Site) -> Iterator[str]:
    """Folders of another service, which would issue the same slides or take the file names."""
    for other in other_places(site.place):
        with suppress(ConfigError):  # the other one's configuration is not checked here
            taken = _loaded(other, other.text_of(other.config) or "")
            theirs = {taken.slides.sidecars, taken.state_dir, *_drops(taken)}
            own = [site.config.slides.sidecars, site.config.state_dir, *site.drops]
            for folder in own:
                if folder in theirs:
                    yield (
                        f"{folder} belongs to {other.unit} ({other.config}). Give each service its "
                        f"own folders, or remove that one first: edge-results uninstall --instance "
                        f"{other.instance}"
                    )


def _hidden_folders(site: Site) -> Iterator[str]:
    slides = site.config.slides
    paths = [slides.sidecars, slides.images, slides.verifications, *site.drops]
    for path in filter(None, [*paths, site.config.state_dir, site.config.codes]):
        if hidden := hidden_above(path, follows_links=not site.place.is_image):
            yield (
                f"{path} of {site.place.config}: the unit cannot see it, as it is below {hidden}; "
                "move it elsewhere."
            )


def _unresolved(site: Site) -> Iterator[str]:
    """Receivers by name: the unit may reach one address, and no name server."""
    for host in site.receivers:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            yield (
                f"mllp: {host} of {site.place.config} is a name, which the unit does not look up; "
                "give the receiver's address."
            )
