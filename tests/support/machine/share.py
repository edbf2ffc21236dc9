"""A real share: a folder served by sshd on this machine and mounted with sshfs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from edge.system.mounts import file_system_type, mount_point
from tests.support.waiting import is_listened_to, until

SSHD = Path("/usr/sbin/sshd")
# A share as an operator mounts it: it comes back by itself, and calls fail within seconds.
RECONNECT = "reconnect,ServerAliveInterval=1,ServerAliveCountMax=2,ConnectTimeout=2"


def lacks() -> str | None:
    """What this machine lacks for a share; None: nothing."""
    if os.geteuid() != 0:
        return "an sshd of its own needs root"
    tools = [name for name in ("sshfs", "ssh-keygen", "fusermount3") if not shutil.which(name)]
    if not SSHD.exists():
        tools.append("sshd")
    if not Path("/dev/fuse").exists():
        tools.append("/dev/fuse")
    return f"{', '.join(tools)} not there" if tools else None


class Share:
    """`served` is the server's folder, `mount_at` where the daemon sees it."""

    def __init__(self, folder: Path, mount_at: Path) -> None:
        self.served = folder / "served"
        self.mount_at = mount_at
        self._folder = folder
        self._listener: subprocess.Popen[bytes] | None = None
        self._stopped: list[int] = []
        self.served.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        for name in ("host", "key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True)
        Path("/run/sshd").mkdir(exist_ok=True)
        (folder / "sshd_config").write_text(
            f"Port {self._port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\n"
            f"AuthorizedKeysFile {folder / 'key.pub'}\nPidFile none\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        )

    def serve(self) -> None:
        """Start the server."""
        config = str(self._folder / "sshd_config")
        self._listener = subprocess.Popen(
            [str(SSHD), "-D", "-f", config, "-E", str(self._folder / "sshd.log")]
        )
        until(lambda: is_listened_to(self._port))

    def mount(self, options: str = RECONNECT) -> None:
        """Mount the share; without options a silent server makes every call hang."""
        self.mount_at.mkdir(exist_ok=True)
        known = f"IdentityFile={self._folder / 'key'},UserKnownHostsFile=/dev/null"
        words = f"{known},StrictHostKeyChecking=no,BatchMode=yes,LogLevel=ERROR,dcache_timeout=0"
        source = f"root@127.0.0.1:{self.served}"
        command = ["sshfs", "-p", str(self._port), source, str(self.mount_at)]
        subprocess.run([*command, "-o", f"{words},{options}".rstrip(",")], check=True)

    @property
    def is_mounted(self) -> bool:
        """Asked of the kernel's table, because a dead share answers nothing."""
        is_here = mount_point(self.mount_at) == str(self.mount_at)
        return is_here and file_system_type(self.mount_at) == "fuse.sshfs"

    def unmount(self) -> None:
        """Take the mount away, whatever state it is in."""
        subprocess.run(
            ["fusermount3", "-u", "-z", str(self.mount_at)], check=False, capture_output=True
        )

    def pause(self) -> None:
        """The server falls silent, with every connection open."""
        self._stopped = self._server()
        for pid in self._stopped:
            os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """The server answers again."""
        for pid in self._stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped = []

    def kill_server(self, *, sessions_only: bool = False) -> None:
        """End the server's sessions, and the server."""
        listener = self._listener
        for pid in self._server():
            if not (sessions_only and listener and pid == listener.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if listener and not sessions_only:
            listener.wait()

    def kill_client(self) -> None:
        """Kill the sshfs process: every call gives ENOTCONN, and the mount stays."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and str(self.mount_at).encode() in _words(entry):
                os.kill(int(entry.name), signal.SIGKILL)

    def close(self) -> None:
        """Leave nothing behind."""
        self.go_on()
        self.unmount()
        self.kill_server()

    def _server(self) -> list[int]:
        if self._listener is None:
            return []
        pids = [self._listener.pid]
        for pid in pids:
            found = subprocess.run(["pgrep", "-P", str(pid)], check=False, capture_output=True)
            pids.extend(int(word) for word in found.stdout.split())
        return pids


def _words(process: Path) -> list[bytes]:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
    return words if words[0] == b"sshfs" else []
