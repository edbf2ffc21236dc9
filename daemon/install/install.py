"""`edge-daemon install`: installs the unit, its user, folders and configuration, as root.

All steps are planned first, then shown or done, so that `--dry-run` shows exactly what would be
done. Nothing is started but a check in the unit's sandbox.
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
# Makes `edge-daemon` available without its path, as messages, manual and completion write it.
_COMMAND: Final = Path("/usr/local/bin/edge-daemon")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's options."""
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
    """Add the options that `uninstall` has as well."""
    text = "the folder of another system, such as a disk image, in place of /"
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help=text)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def require_root(command: str, *, dry_run: bool) -> None:
    """Check that the command runs as root, unless it changes nothing.

    Raises:
        ConfigError: it does not.
    """
    if os.geteuid() != 0 and not dry_run:
        raise ConfigError(
            f"{command} writes to /etc: run it as root, or see what it would do with --dry-run."
        )


def man_and_completions(parser: ArgumentParser) -> dict[Path, str]:
    """The manual page and completions, by the paths where `man` and the shells look for them."""
    return {
        _LOCAL / "man/man1/edge-daemon.1": man_page(parser),
        _LOCAL / "bash-completion/completions/edge-daemon": completion(parser, "bash"),
        _LOCAL / "zsh/site-functions/_edge-daemon": completion(parser, "zsh"),
    }


def plan(site: Site, texts: Mapping[Path, str]) -> list[Step]:
    """All files to write and commands to run, in order.

    Args:
        site: what to install where.
        texts: further files by path, from `man_and_completions`.
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
    """Lines after a dry run: what is missing, and what to do next."""
    if not site.place.at(site.program).exists():
        yield f"{site.program} is not there yet; install the program there, or give --prefix"
    for path in site.missing_folders():
        yield f"{path} is not there yet; mount or make it"
    yield "nothing was changed; without --dry-run all of this is done, and nothing is started"


def next_steps(site: Site, *, is_checked: bool) -> Iterator[str]:
    """Lines after an installation: what to do next."""
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
    """The record of what was written, and those of other daemons that share a file with it."""
    yield FileStep(place.record, record_text(written), is_generated=True)
    for other in places(place.root):
        recorded = {} if other == place else read_record(other)
        if recorded:
            shared = {path: written[path] for path in recorded if path in written}
            text = record_text({**recorded, **shared})
            yield FileStep(other.record, text, is_generated=True)


def _command(site: Site) -> Iterator[FileStep]:
    """A script that starts the program, unless the program itself is in this place."""
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
            is_copy = _without_comments(present) == _without_comments(shipped(f"drop-ins/{name}"))
            yield FileStep(path, content, is_editable=not (is_ours or is_copy))
        elif present is not None and is_ours:
            yield RemoveStep(path)


def _without_comments(text: str | None) -> list[str]:
    """The lines that systemd reads: a copy of an earlier version's file has other comments."""
    return [line for line in (text or "").splitlines() if line and not line.startswith("#")]


def _was_written(site: Site, path: Path, present: str) -> bool:
    """Whether a file is unchanged since an installation wrote it."""
    recorded = site.installed.hashes.get(str(path))
    # Earlier versions kept no record.
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
