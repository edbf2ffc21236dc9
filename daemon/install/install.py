"""What `edge-daemon install` does: the unit, its user, folders and configuration, for root.

Everything is planned first and then told or done, so that `--dry-run` cannot say anything else
than what is done. It starts nothing but a check in the unit's sandbox.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from daemon.install.place import (
    MARK,
    PREFIX,
    Place,
    digest,
    places,
    read_record,
    record_text,
)
from daemon.install.program import access_problems
from daemon.install.sandbox import has_systemd, systemctl
from daemon.install.site import Site
from daemon.install.steps import CommandStep, FileStep, RemoveStep, Step
from daemon.install.unit_files import metrics_drop_in, share_drop_in, shipped, tmpfiles, unit
from edge.command.completion import completion
from edge.command.man_page import man_page
from edge.errors import ConfigError

_SYSUSERS: Final = Path("/etc/sysusers.d/edge-daemon.conf")
_LOCAL: Final = Path("/usr/local/share")
# So that `edge-daemon` is found by its name alone, as messages, manual and completion have it.
_COMMAND: Final = Path("/usr/local/bin/edge-daemon")


def add_arguments(parser: ArgumentParser) -> None:
    """The command's options."""
    text = "install edge-daemon@NAME, one of several services, each for an analyzer"
    parser.add_argument("--instance", metavar="NAME", help=text)
    for option, what in (
        ("--bundle", "the model, a folder NAME.edge"),
        ("--watch", "the folder that the analyzer exports to"),
        ("--results", "the folder for results"),
    ):
        text = f"{what}; for a new configuration"
        parser.add_argument(option, type=Path, metavar="DIR", help=text)
    text = "let the service use what this group may use, such as a share"
    parser.add_argument("--share", metavar="GROUP", help=text)
    text = "let the service use the NVIDIA GPU"
    parser.add_argument("--gpu", action="store_true", help=text)
    text = f"where the program is installed (default: as before, or {PREFIX})"
    parser.add_argument("--prefix", type=Path, metavar="DIR", help=text)
    add_common_arguments(parser)


def add_common_arguments(parser: ArgumentParser) -> None:
    """The options that `uninstall` has as well."""
    text = "the folder of another system, such as a disk image, in place of /"
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help=text)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def require_root(command: str, *, dry_run: bool) -> None:
    """Refuse other users.

    Raises:
        ConfigError: the command would change files that only root may change.
    """
    if os.geteuid() != 0 and not dry_run:
        raise ConfigError(
            f"{command} writes to /etc: run it as root, or look first with --dry-run."
        )


def man_and_completions(parser: ArgumentParser) -> dict[Path, str]:
    """The manual page and completions, where `man` and the shells look for an administrator's."""
    return {
        _LOCAL / "man/man1/edge-daemon.1": man_page(parser),
        _LOCAL / "bash-completion/completions/edge-daemon": completion(parser, "bash"),
        _LOCAL / "zsh/site-functions/_edge-daemon": completion(parser, "zsh"),
    }


def plan(site: Site, texts: Mapping[Path, str]) -> list[Step]:
    """Every file and command, in the order in which they are written and run.

    Args:
        texts: further files, those of `man_and_completions`.
    """
    place = site.place
    files = [
        FileStep(place.unit_file, unit(place, site.prefix)),
        FileStep(_SYSUSERS, shipped("edge-daemon.sysusers.conf")),
        FileStep(place.tmpfiles, tmpfiles(place, site.config, makes_results=site.makes_results)),
        FileStep(place.config, site.config_text, is_editable=True),
    ]
    drop_ins = list(_drop_ins(site))
    files += [step for step in drop_ins if isinstance(step, FileStep)]
    files += [FileStep(path, text, is_generated=True) for path, text in texts.items()]
    files += _command(site)
    written = {str(step.path): digest(step.content) for step in files if not step.is_editable}
    files += _records(place, written)
    removed = [step for step in drop_ins if isinstance(step, RemoveStep)]
    return [*files, *removed, *_commands(site)]


def after_dry_run(site: Site) -> Iterator[str]:
    """What is not there yet, and what a person does next."""
    if not site.place.at(site.program).exists():
        yield f"{site.program} is not there yet; install the program there, or give --prefix"
    for path in site.missing_folders():
        yield f"{path} is not there yet; mount or make it"
    yield "nothing was changed; without --dry-run all of this is done, and nothing is started"


def next_steps(site: Site, *, is_checked: bool) -> Iterator[str]:
    """What a person does after the installation."""
    place = site.place
    if not place.at(site.program).exists():
        yield f"{site.program} is not there yet; install the program there, or give --prefix"
    elif not is_checked and not place.is_image:
        yield from access_problems(site.program)
    if not is_checked:
        yield "check it in the unit's sandbox, where its systemd runs:"
        yield f"  {site.program} check-config --installed{place.option}"
    if not place.is_image and _is_active(place.unit):
        yield "the service runs; it takes the changes with its next start:"
        yield f"  systemctl restart {place.unit}"
    else:
        yield "then start it:"
        yield f"  systemctl enable --now {place.unit}"


def _records(place: Place, written: dict[str, str]) -> Iterator[FileStep]:
    """The record of what was written; other daemons' records too, where they share a file."""
    yield FileStep(place.record, record_text(written), is_generated=True)
    for other in places(place.root):
        recorded = {} if other == place else read_record(other)
        if recorded:
            shared = {path: written[path] for path in recorded if path in written}
            text = record_text({**recorded, **shared})
            yield FileStep(other.record, text, is_generated=True)


def _command(site: Site) -> Iterator[FileStep]:
    """The command by its name alone, unless the program lies there itself."""
    if site.program == _COMMAND:
        return
    present = site.place.text_of(_COMMAND)
    is_ours = present is None or _was_written(site, _COMMAND, present)
    text = f'#!/bin/sh\n{MARK}.\nexec {site.program} "$@"\n'
    yield FileStep(_COMMAND, text, is_editable=not is_ours, mode=0o755)


def _drop_ins(site: Site) -> Iterator[FileStep | RemoveStep]:
    place, config = site.place, site.config
    contents = {
        "share.conf": share_drop_in(place, config, site.share),
        "gpu.conf": shipped("drop-ins/gpu.conf") if site.has_gpu else None,
        "metrics.conf": metrics_drop_in(place, config),
    }
    for name, content in contents.items():
        path = place.drop_ins / name
        present = place.text_of(path)
        is_ours = present is None or _was_written(site, path, present)
        if content is not None:
            is_copy = present == shipped(f"drop-ins/{name}")
            yield FileStep(path, content, is_editable=not (is_ours or is_copy))
        elif present is not None and is_ours:
            yield RemoveStep(path)


def _was_written(site: Site, path: Path, present: str) -> bool:
    """Whether a drop-in is as an installation wrote it."""
    recorded = site.installed.hashes.get(str(path))
    # An installation of before kept no record.
    return digest(present) == recorded if recorded else present.startswith(MARK)


def _commands(site: Site) -> Iterator[CommandStep]:
    place = site.place
    into = (f"--root={place.root}",) if place.is_image else ()
    yield CommandStep(("systemd-sysusers", *into, _SYSUSERS.name))
    yield CommandStep(("systemd-tmpfiles", *into, "--create", place.tmpfiles.name))
    if not into and has_systemd():
        yield CommandStep(("systemctl", "daemon-reload"))


def _is_active(unit_name: str) -> bool:
    return has_systemd() and systemctl("is-active", "--quiet", unit_name).returncode == 0
