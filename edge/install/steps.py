"""The steps of `install` and `uninstall`: each can be described, and done."""

from __future__ import annotations

import difflib
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from edge.errors import BackendError, StorageError
from edge.files.atomic import make_folder, write_file


class System(Protocol):
    """A system, which is the running one or that of a disk image."""

    def at(self, path: Path) -> Path:
        """A path of the system, as this one sees it."""

    def text_of(self, path: Path) -> str | None:
        """The content of a file of the system, None if there is none."""


@dataclass(frozen=True, slots=True)
class FileStep:
    """A file to write.

    `is_editable`: people edit it, so an existing one is kept. `is_generated`: made for other
    programs, so its lines are not shown.
    """

    path: Path
    content: str
    is_editable: bool = False
    is_generated: bool = False
    # Set explicitly, as root's umask may keep the service's user from reading its configuration.
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class RemoveStep:
    """A file or an empty folder to remove; with `is_tree`, a folder and everything in it."""

    path: Path
    is_tree: bool = False


@dataclass(frozen=True, slots=True)
class KeepStep:
    """Something that stays, with the reason."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class CommandStep:
    """A command to run; with `may_fail` its failure is ignored."""

    argv: tuple[str, ...]
    may_fail: bool = False


Step: TypeAlias = FileStep | RemoveStep | KeepStep | CommandStep


def describe(system: System, step: Step, *, is_whole: bool = True) -> Iterator[str]:
    """Lines for people about a step.

    Args:
        system: where the step is done.
        step: the step.
        is_whole: whether to show all lines of a new file; of a changed one the changes are shown.
    """
    match step:
        case CommandStep():
            yield f"run    {shlex.join(step.argv)}"
        case RemoveStep():
            yield f"remove {step.path}{', with all that is in it' if step.is_tree else ''}"
        case KeepStep():
            yield f"keep   {step.path}: {step.reason}"
        case FileStep():
            yield from _describe_file(system, step, is_whole=is_whole)


def apply(system: System, step: Step) -> None:
    """Do a step. Doing it again changes nothing.

    Raises:
        StorageError: a file cannot be written or removed.
        BackendError: a command is not there or fails.
    """
    match step:
        case CommandStep():
            _run(step)
        case RemoveStep():
            _remove(system.at(step.path), is_tree=step.is_tree)
        case FileStep():
            _write(system, step)
        case KeepStep():
            pass


def _describe_file(system: System, step: FileStep, *, is_whole: bool) -> Iterator[str]:
    before = system.text_of(step.path)
    if before == step.content:
        yield f"same   {step.path}"
        return
    if before is None:
        yield f"write  {step.path}"
    elif step.is_editable:
        yield f"keep   {step.path}, which is yours; a new one would differ:"
    else:
        yield f"change {step.path}"
    if not step.is_generated and (is_whole or before is not None):
        for line in _difference(before, step.content):
            yield f"       {line}"
    if step.path.parent.name in ("sysusers.d", "tmpfiles.d"):
        yield from _made(step)


def _write(system: System, step: FileStep) -> None:
    path = system.at(step.path)
    before = system.text_of(step.path)
    if before == step.content or (step.is_editable and before is not None):
        return
    _make_readable_folder(path.parent)
    write_file(path, step.content.encode())
    path.chmod(step.mode)


def _remove(path: Path, *, is_tree: bool) -> None:
    try:
        if is_tree:
            shutil.rmtree(path)
        elif path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            f"{error.filename or path} cannot be removed ({error.strerror}). Remove it by hand, "
            "or correct the cause and start again."
        ) from error


def _difference(before: str | None, after: str) -> Iterator[str]:
    old = [] if before is None else before.splitlines()
    lines = difflib.unified_diff(old, after.splitlines(), lineterm="", n=1)
    return (line for line in lines if not line.startswith(("---", "+++", "@@")))


def _made(step: FileStep) -> Iterator[str]:
    """The users and folders that systemd makes from a file."""
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


def _run(step: CommandStep) -> None:
    argv = step.argv
    try:
        result = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BackendError(f"{argv[0]} is not there; this command needs systemd.") from error
    if result.returncode != 0 and not step.may_fail:
        reason = " ".join(result.stderr.split()) or f"exit code {result.returncode}"
        raise BackendError(
            f"{shlex.join(argv)} failed: {reason}. Correct the cause and start again."
        )


def is_empty(folder: Path) -> bool:
    """Whether a folder is empty; False if there is none."""
    with suppress(OSError):
        return next(folder.iterdir(), None) is None
    return False
