"""What `edge-daemon install` does: the unit, its user, folders and configuration, for root.

Everything is planned first and then told or done, so that `--dry-run` cannot say anything else
than what is done. It starts nothing: a person checks the configuration before.
"""

from __future__ import annotations

import difflib
import grp
import os
import re
import shlex
import subprocess
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.install_files import PREFIX, Site, config, share_drop_in, shipped, tmpfiles, unit
from edge.atomic import make_folder, write_file
from edge.errors import BackendError, ConfigError

# Hidden from the unit by ProtectHome= and PrivateTmp=.
_HIDDEN: Final = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108 - never written
# `edge` is the instance-less daemon's configuration, `engines` a folder of its state.
_TAKEN: Final = ("edge", "engines")
_INSTANCE: Final = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class FileStep:
    """A file to write; `is_persons` means that an existing one is left as it is."""

    path: Path
    content: str
    is_persons: bool = False


@dataclass(frozen=True, slots=True)
class CommandStep:
    """A command to run, after all files are written."""

    argv: tuple[str, ...]


def add_arguments(parser: ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--instance", metavar="NAME", help="edge-daemon@NAME, for one analyzer")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="for the configuration")
    parser.add_argument("--watch", type=Path, metavar="DIR", help="export folder, likewise")
    parser.add_argument("--results", type=Path, metavar="DIR", help="results folder, likewise")
    parser.add_argument("--share", metavar="GROUP", help="group that may use the folders")
    parser.add_argument("--gpu", action="store_true", help="open the NVIDIA devices")
    parser.add_argument("--prefix", type=Path, default=PREFIX, metavar="DIR", help="the program")
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="of an image")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def site_of(arguments: Namespace) -> Site:
    """The options, checked.

    Raises:
        ConfigError: one line for every option that cannot work.
    """
    site = Site(
        instance=arguments.instance,
        bundle=arguments.bundle,
        watch=arguments.watch,
        results=arguments.results,
        share=arguments.share,
        has_gpu=arguments.gpu,
        prefix=arguments.prefix,
        root=arguments.root.absolute(),
    )
    problems = list(_problems(site))
    if os.geteuid() != 0 and not arguments.dry_run:
        problems.append("install writes to /etc: run it as root, or look first with --dry-run.")
    if problems:
        raise ConfigError("\n".join(problems))
    return site


def plan(site: Site) -> list[FileStep | CommandStep]:
    """Every file and command, in the order in which they are written and run."""
    etc = Path("/etc")
    units = etc / "systemd" / "system"
    drop_ins = units / f"{site.unit}.service.d"
    name = site.unit.replace("@", "-")
    steps: list[FileStep | CommandStep] = [
        FileStep(units / site.unit_file, unit(site)),
        FileStep(etc / "sysusers.d" / "edge-daemon.conf", shipped("edge-daemon.sysusers.conf")),
        FileStep(etc / "tmpfiles.d" / f"{name}.conf", tmpfiles(site)),
        FileStep(site.config, config(site), is_persons=True),
    ]
    if site.results or site.share:
        steps.append(FileStep(drop_ins / "share.conf", share_drop_in(site)))
    if site.has_gpu:
        steps.append(FileStep(drop_ins / "gpu.conf", shipped("drop-ins/gpu.conf")))
    into = () if site.root == Path("/") else (f"--root={site.root}",)
    steps.append(CommandStep(("systemd-sysusers", *into, "edge-daemon.conf")))
    steps.append(CommandStep(("systemd-tmpfiles", *into, "--create", f"{name}.conf")))
    if not into:
        steps.append(CommandStep(("systemctl", "daemon-reload")))
    return steps


def describe(site: Site, step: FileStep | CommandStep) -> Iterator[str]:
    """What a step does, for people; a file with the lines that change."""
    if isinstance(step, CommandStep):
        yield f"run    {shlex.join(step.argv)}"
        return
    before = _present(site.at(step.path))
    if before == step.content:
        yield f"same   {step.path}"
        return
    if before is None:
        yield f"write  {step.path}"
    elif step.is_persons:
        yield f"keep   {step.path}, which is yours; a new one would differ:"
    else:
        yield f"change {step.path}"
    for line in _difference(before, step.content):
        yield f"       {line}"
    if step.path.parent.name in ("sysusers.d", "tmpfiles.d"):
        yield from _made(step)


def apply(site: Site, step: FileStep | CommandStep) -> None:
    """Do a step; one that was done already changes nothing.

    Raises:
        StorageError: a file cannot be written.
        BackendError: a command is not there or fails.
    """
    if isinstance(step, CommandStep):
        _run(step.argv)
        return
    path = site.at(step.path)
    before = _present(path)
    if before == step.content or (step.is_persons and before is not None):
        return
    _make_readable_folder(path.parent)
    write_file(path, step.content.encode())
    # Root's umask may be strict; the service's user must be able to read its configuration.
    path.chmod(0o644)


def next_steps(site: Site) -> Iterator[str]:
    """What a person does after the installation."""
    program = site.prefix / "bin" / "edge-daemon"
    if not os.access(site.at(program), os.X_OK):
        yield f"{program} is not there yet; install the program there, or give --prefix"
    group = f" -g edge -G {shlex.quote(site.share)}" if site.share else ""
    check = f"check-config --config {site.config}"
    yield "then check as the service's user, and start:"
    yield f"  runuser -u edge{group} -- {shlex.quote(str(program))} {check}"
    yield f"  systemctl enable --now {site.unit}"


def _problems(site: Site) -> Iterator[str]:
    if site.instance is not None and not _INSTANCE.fullmatch(site.instance):
        yield f"--instance {site.instance!r}: give letters, digits, - and _, at most 64."
    if site.instance in _TAKEN:
        yield f"--instance {site.instance}: this name has another use; choose another."
    named = {"bundle": site.bundle, "watch": site.watch, "results": site.results}
    for option, path in {**named, "prefix": site.prefix}.items():
        if path is None:
            continue
        if not path.is_absolute() or ".." in path.parts or not str(path).isprintable():
            yield f"--{option} {str(path)!r}: give an absolute, printable path without .. in it."
        elif any(path.is_relative_to(hidden) for hidden in _HIDDEN):
            yield f"--{option} {path}: the unit cannot see this folder; choose one elsewhere."
    if not re.fullmatch(r"[\w/.-]+", str(site.prefix)):
        yield f"--prefix {site.prefix}: give a path of letters, digits and / . - _ alone."
    if site.share is not None and not _group_exists(site):
        yield f"--share {site.share}: there is no such group. Create it first: groupadd."
    if not site.root.is_dir():
        yield f"--root {site.root}: there is no such folder."


def _group_exists(site: Site) -> bool:
    try:
        if site.root == Path("/"):
            grp.getgrnam(site.share or "")
            return True
        groups = site.at(Path("/etc/group")).read_text()
    except (KeyError, OSError):
        return False
    return any(line.partition(":")[0] == site.share for line in groups.splitlines())


def _present(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _difference(before: str | None, after: str) -> Iterator[str]:
    old = [] if before is None else before.splitlines()
    lines = difflib.unified_diff(old, after.splitlines(), lineterm="", n=1)
    return (line for line in lines if not line.startswith(("---", "+++", "@@")))


def _made(step: FileStep) -> Iterator[str]:
    """Users and folders that systemd makes of a file."""
    for line in step.content.splitlines():
        match line.split():
            case ["u", user, *_]:
                yield f"user   {user}"
            case ["d", folder, mode, user, group, *_]:
                yield f"folder {folder} {mode} {user}:{group}"


def _make_readable_folder(folder: Path) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.is_dir()]
    make_folder(folder)
    for path in missing:
        path.chmod(0o755)


def _run(argv: tuple[str, ...]) -> None:
    try:
        result = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BackendError(f"{argv[0]} is not there; this command needs systemd.") from error
    if result.returncode != 0:
        reason = " ".join(result.stderr.split()) or f"exit code {result.returncode}"
        raise BackendError(f"{shlex.join(argv)} failed: {reason}. Mend it and install again.")
