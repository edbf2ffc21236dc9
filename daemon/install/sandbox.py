"""`check-config` in the sandbox of the installed unit, so that it sees what the service sees.

A temporary unit is made from the installed one with all its drop-ins, under another name and with
another command. So its sandbox cannot differ from the service's.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.config.config import load_config
from daemon.install.place import Place
from edge.errors import BackendError, ConfigError
from edge.install.program import access_problems, hidden_above, hidden_program
from edge.install.records import text_of
from edge.install.systemd import BOOTED, has_systemd, systemctl
from edge.install.unit_text import unquoted

_COMMAND: Final = re.compile(r"^ExecStart=(?P<program>\S+) run(?P<rest> .*)$", re.MULTILINE)
_USER: Final = re.compile("^User=(.+)$", re.MULTILINE)
_GROUP: Final = re.compile("^SupplementaryGroups=(.+)$", re.MULTILINE)
# systemd's exit codes for a process that it could not start (systemd.exec(5)).
_NOT_STARTED: Final = range(200, 246)
# The output may name images, so it goes to files of root's, not to the log.
_CHECK: Final = """
[Service]
Type=oneshot
NotifyAccess=none
ExecStart=
ExecStart={command}
ExecReload=
Restart=no
WatchdogSec=0
TimeoutStartSec=900
RuntimeDirectoryPreserve=yes
StandardInput=null
StandardOutput=file:{folder}/out
StandardError=file:{folder}/err
"""


@dataclass(frozen=True, slots=True)
class SandboxCheck:
    """The output of `check-config` in the sandbox, and its exit code."""

    exit_code: int
    out: str
    errors: str


def check_in_sandbox(place: Place) -> SandboxCheck:
    """Run `check-config` as the unit runs the service.

    Raises:
        ConfigError: this user is not root, or the unit is not installed or does not run the daemon.
        BackendError: there is no systemd, or it cannot start the program in the sandbox.
    """
    if not has_systemd():
        raise BackendError("no systemd runs here. Run this on the machine of the service.")
    if os.geteuid() != 0:
        raise ConfigError("only root can start a check in the unit's sandbox: run this as root.")
    text = unit_text_of(place)
    with tempfile.TemporaryDirectory(prefix="edge-daemon-check-", dir="/run") as folder:
        unit = f"edge-daemon-check-{os.getpid()}{f'@{place.instance}' if place.instance else ''}"
        with _unit_file(f"{unit}.service", check_unit(text, Path(folder))):
            exit_code = _run(f"{unit}.service", text)
        out, errors = (text_of(Path(folder) / name) or "" for name in ("out", "err"))
    if "Traceback (most recent call last)" in errors:
        raise BackendError(
            f"the program cannot start in the unit's sandbox: "
            f"{errors.strip().splitlines()[-1]}. Install the package, not a link to its "
            f"sources, where the user edge may read it."
        )
    return SandboxCheck(exit_code, out, errors + _hidden_lines(place, errors))


def unit_text_of(place: Place) -> str:
    """The unit with its drop-ins, as systemd reads them.

    Raises:
        ConfigError: there is none.
    """
    result = systemctl("cat", f"{place.unit}.service")
    if result.returncode != 0:
        raise ConfigError(
            f"there is no unit {place.unit} on this machine. Install it first: "
            f"edge-daemon install{place.option}"
        )
    return result.stdout


def check_unit(text: str, folder: Path) -> str:
    """The unit of the check, from the service's text; its output goes to two files in `folder`.

    Raises:
        ConfigError: the service's unit does not start `edge-daemon run`.
    """
    return text.rstrip("\n") + "\n" + _CHECK.format(command=_check_command(text), folder=folder)


def _check_command(text: str) -> str:
    commands = list(_COMMAND.finditer(text))
    if not commands:
        raise ConfigError(
            "ExecStart= of the unit does not begin with edge-daemon run, so it cannot be checked."
        )
    return f"{commands[-1]['program']} check-config{commands[-1]['rest']}"


def _run(unit: str, text: str) -> int:
    if systemctl("start", unit).returncode == 0:
        return 0
    shown = systemctl("show", unit, "-p", "Result", "-p", "ExecMainStatus").stdout
    fields = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    code, result = int(fields.get("ExecMainStatus") or 0), fields.get("Result", "unknown")
    if result == "exit-code" and code not in _NOT_STARTED:
        return code
    reason = _reason(unit) or result
    program = Path(_check_command(text).split(" ", 1)[0])
    causes = [*_missing_accounts(text), hidden_program(program) or "", *access_problems(program)]
    lines = [f"systemd cannot start the program in the unit's sandbox: {reason}", *causes]
    raise BackendError("\n".join(line for line in lines if line))


def _missing_accounts(text: str) -> Iterator[str]:
    """The user and the groups of a unit that are missing on this machine."""
    users = _USER.findall(text)
    if users and not _is_known(pwd.getpwnam, users[-1]):
        yield f"there is no user {users[-1]}. `edge-daemon install` makes it."
    for word in _GROUP.findall(text):
        group = unquoted(word)
        if not group.isdigit() and not _is_known(grp.getgrnam, group):
            yield (
                f"there is no group {group}. Make it: groupadd --system {group}, or name another: "
                "edge-daemon install --share GROUP"
            )


def _is_known(look_up: Callable[[str], object], name: str) -> bool:
    try:
        look_up(name)
    except KeyError:
        return False
    return True


def _hidden_lines(place: Place, errors: str) -> str:
    """Which folders that `check-config` did not find exist, but are hidden from the unit."""
    try:
        config = load_config(place.config)
    except ConfigError:
        return ""
    return "".join(
        f"error: {path} is below {hidden}, which the unit does not see. Move it elsewhere.\n"
        for path in (*config.folders, config.state_dir)
        if str(path) in errors and (hidden := hidden_above(path))
    )


def _reason(unit: str) -> str:
    """The first line of systemd's log that names the failure."""
    argv = ["journalctl", "--no-pager", "-q", "-o", "cat", "-u", unit]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    lines = [line for line in result.stdout.splitlines() if "Failed" in line or "code=" in line]
    return lines[0].removeprefix(f"{unit}: ") if lines else ""


@contextmanager
def _unit_file(name: str, text: str) -> Iterator[None]:
    path = BOOTED / name
    path.write_text(text, "utf-8")
    try:
        yield
    finally:
        path.unlink()
        systemctl("reset-failed", name)
