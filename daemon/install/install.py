"""`edge-daemon install`: installs the unit, its user, folders and configuration, as root.

All steps are planned first, then shown or done, so that `--dry-run` shows exactly what would be
done. Nothing is started but a check in the unit's sandbox.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from daemon.install.place import MARK
from daemon.install.site import Site
from daemon.install.unit_files import metrics_drop_in, share_drop_in, tmpfiles, unit
from edge.command.values import given_path
from edge.errors import ConfigError
from edge.install.files import PREFIX, SYSUSERS, shipped
from edge.install.owned import command_steps, drop_in_steps, record_steps
from edge.install.program import access_problems
from edge.install.records import digest
from edge.install.steps import CommandStep, FileStep, RemoveStep, Step
from edge.install.systemd import has_systemd, is_active


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
        parser.add_argument(option, type=given_path, metavar="DIR", help=text)
    text = "let the service use what this group may use, such as a share"
    parser.add_argument("--share", metavar="GROUP", help=text)
    text = "let the service use the NVIDIA GPU"
    parser.add_argument("--gpu", action="store_true", help=text)
    text = f"where the program is installed (default: as before, or {PREFIX})"
    parser.add_argument("--prefix", type=given_path, metavar="DIR", help=text)
    add_common_arguments(parser)


def add_common_arguments(parser: ArgumentParser) -> None:
    """Add the options that `uninstall` has as well."""
    text = "the folder of another system, such as a disk image, in place of /"
    parser.add_argument("--root", type=given_path, default=Path("/"), metavar="DIR", help=text)
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


def plan(site: Site, texts: Mapping[Path, str]) -> list[Step]:
    """All files to write and commands to run, in order.

    Args:
        site: what to install where.
        texts: further files by path, from `man_and_completions`.
    """
    place = site.place
    files = [
        FileStep(place.unit_file, unit(place, site.prefix)),
        FileStep(SYSUSERS, shipped("edge-daemon.sysusers.conf")),
        FileStep(place.tmpfiles, tmpfiles(place, site.config, makes_results=site.makes_results)),
        FileStep(place.config, site.config_text, is_editable=True),
    ]
    wrote = partial(_was_written, site)
    drop_ins = list(drop_in_steps(place, place.drop_ins, _drop_ins(site), wrote))
    files += [step for step in drop_ins if isinstance(step, FileStep)]
    files += [FileStep(path, text, is_generated=True) for path, text in texts.items()]
    files += command_steps(place, site.program, wrote)
    files += record_steps(place.root, place.record, files)
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
    if not place.is_image and is_active(place.unit):
        yield "the service runs; it takes the changes with its next start:"
        yield f"  systemctl restart {place.unit}"
    else:
        yield "then start it:"
        yield f"  systemctl enable --now {place.unit}"


def _drop_ins(site: Site) -> dict[str, str | None]:
    """The contents of the drop-ins, by name; None: not needed."""
    place, config = site.place, site.config
    return {
        "share.conf": share_drop_in(place, config, site.share),
        "gpu.conf": shipped("drop-ins/gpu.conf") if site.has_gpu else None,
        "metrics.conf": metrics_drop_in(place, config),
    }


def _was_written(site: Site, path: Path, present: str) -> bool:
    """Whether a file is unchanged since an installation wrote it."""
    recorded = site.installed.hashes.get(str(path))
    # Earlier versions kept no record.
    return digest(present) == recorded if recorded else present.startswith(MARK)


def _commands(site: Site) -> Iterator[CommandStep]:
    place = site.place
    into = (f"--root={place.root}",) if place.is_image else ()
    yield CommandStep(("systemd-sysusers", *into, SYSUSERS.name))
    yield CommandStep(("systemd-tmpfiles", *into, "--create", place.tmpfiles.name))
    if not into and has_systemd():
        yield CommandStep(("systemctl", "daemon-reload"))
