"""`edge-results install`: installs the unit, its user, configuration and drop-ins, as root.

All steps are planned first, then shown or done, so that `--dry-run` shows exactly what would be
done. Nothing is started.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge.install.files import (
    PREFIX,
    SYSUSERS,
    drop_in,
    lines_without_comments,
    shipped,
    write_lines,
)
from edge.install.owned import command_steps, drop_in_steps, record_steps
from edge.install.program import access_problems
from edge.install.steps import CommandStep, FileStep, RemoveStep, Step
from edge.install.systemd import has_systemd, is_active
from edge.install.unit_text import quoted
from edge.results.install.place import PROGRAM
from edge.results.install.site import Site


def plan(site: Site, texts: Mapping[Path, str]) -> list[Step]:
    """All files to write and commands to run, in order.

    Args:
        site: what to install where.
        texts: further files by path, from `man_and_completions`.
    """
    place = site.place
    unit = shipped(place.unit_file.name).replace(str(PREFIX), str(site.prefix))
    files = [
        FileStep(place.unit_file, unit),
        FileStep(SYSUSERS, shipped("edge-daemon.sysusers.conf")),
        FileStep(place.config, site.config_text, is_editable=True),
    ]
    drop_ins = list(_drop_ins(site))
    files += [step for step in drop_ins if isinstance(step, FileStep)]
    files += [FileStep(path, text, is_generated=True) for path, text in texts.items()]
    files += command_steps(place, site.program, site.installed.wrote)
    files += record_steps(place.root, place.record, files)
    removed = [step for step in drop_ins if isinstance(step, RemoveStep)]
    into = (f"--root={place.root}",) if place.is_image else ()
    commands = [CommandStep(("systemd-sysusers", *into, SYSUSERS.name))]
    if not into and has_systemd():
        commands.append(CommandStep(("systemctl", "daemon-reload")))
    return [*files, *removed, *commands]


def next_steps(site: Site, *, is_dry_run: bool) -> Iterator[str]:
    """Lines after the steps: what is missing, and what to do next."""
    place = site.place
    if not place.at(site.program).exists():
        yield f"{site.program} is not there yet; install the program there, or give --prefix"
    elif not place.is_image:
        yield from access_problems(site.program)
    if not site.config.slides.bundles:
        yield f"{place.config} names no bundle (slides.bundles): differentials"
        yield "will have no interval with the model's errors"
    for path in site.missing():
        if path in site.drops:
            yield f"{path} is not there yet; mount it, or make it for the importer's group:"
            yield f"  install -d -m 2770 -g {site.share or 'GROUP'} {path}"
        else:
            yield f"{path} is not there yet; mount or make it, or change {place.config}"
    if is_dry_run:
        yield "nothing was changed; without --dry-run all of this is done, and nothing is started"
    elif not place.is_image and is_active(place.unit):
        yield "the service runs; it takes the changes with its next start:"
        yield f"  systemctl restart {place.unit}"
    else:
        yield f"edit {place.config}, install again so that the drop-ins follow it, and look at"
        yield "what would be sent:"
        yield f"  {site.program} show --config {place.config}"
        yield "then start it:"
        yield f"  systemctl enable --now {place.unit}"


def _drop_ins(site: Site) -> Iterator[FileStep | RemoveStep]:
    place = site.place
    lines = {"share.conf": _share_lines(site), "mllp.conf": _mllp_lines(site)}
    contents = {
        name: drop_in(PROGRAM, place.config, name, found) if found else None
        for name, found in lines.items()
    }
    return drop_in_steps(place, place.drop_ins, contents, site.installed.wrote)


def _share_lines(site: Site) -> list[str]:
    """What lets the unit write to the drop folders, and to the state folder if it is moved."""
    place = site.place
    paths = (*site.drops, site.config.state_dir)
    own = (place.drop, place.state_dir)
    closed = [path for path in paths if not any(path.is_relative_to(folder) for folder in own)]
    lines = write_lines(closed, is_image=place.is_image)
    return lines + ([f"SupplementaryGroups={quoted(site.share)}"] if site.share else [])


def _mllp_lines(site: Site) -> list[str]:
    """What opens the way to the receivers, and to nothing else."""
    if not site.receivers:
        return []
    example = lines_without_comments(shipped("drop-ins/mllp.conf"))
    lines = [line for line in example if line != "[Service]"]
    addresses = [f"IPAddressAllow={ipaddress.ip_address(host)}" for host in site.receivers]
    kept = [line for line in lines if not line.startswith("IPAddressAllow=")]
    at = next(i for i, line in enumerate(lines) if line.startswith("IPAddressAllow="))
    return [*kept[:at], *addresses, *kept[at:]]
