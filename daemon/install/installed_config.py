"""The configuration of a command that names none: the installed one, if there is just one."""

from __future__ import annotations

from pathlib import Path

from daemon.install.place import PLAIN, Place, places
from edge.errors import ConfigError


def installed_config(instance: str | None) -> Path:
    """The configuration of an instance, or of the only installed daemon.

    Raises:
        ConfigError: there is none, or there are several and none was named.
    """
    return installed_place(instance).config


def installed_place(instance: str | None) -> Place:
    """The daemon of that name (`edge`: the one without instance), or the only installed one.

    Raises:
        ConfigError: there is none, or there are several and none was named.
    """
    found = [place for place in places() if place.config.exists()]
    if instance is not None:
        named = [place for place in found if place.name == instance]
        if not named:
            others = f"installed: {_names(found)}" if found else "none is on this machine"
            raise ConfigError(f"--instance {instance}: no such daemon is installed; {others}.")
        return named[0]
    if not found:
        raise ConfigError(f"{Place().config} is not there. Name a configuration with --config.")
    # The configuration of an uninstalled daemon stays. It counts only if nothing is installed.
    found = [place for place in found if place.record.exists()] or found
    if len(found) > 1:
        raise ConfigError(
            f"several daemons are installed: {_names(found)}. Say which: --instance NAME."
        )
    return found[0]


def _names(found: list[Place]) -> str:
    return ", ".join(place.name for place in found)


def unit_of(config: Path) -> str:
    """The unit that reads a configuration, by its name for `systemctl`."""
    instance = config.stem if config.parent == Place().config.parent else PLAIN
    return Place(None if instance == PLAIN else instance).unit


def is_installed(config: Path) -> bool:
    """Whether a unit on this machine reads a configuration."""
    found = (place for place in places() if place.config.resolve() == config.resolve())
    # After `uninstall` only the configuration is left.
    return any(place.record.exists() or place.unit_file.exists() for place in found)
