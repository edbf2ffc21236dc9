"""A real smbd of this test's own, and clients of it as a Windows machine is one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.support.waiting import is_listened_to, until

# smbnetfs, a client of SMB as a file system, knows no other port.
CLIENT_PORT: Final = 445
# A guest needs no account on this machine.
_CONFIG: Final = """
[global]
  server role = standalone server
  smb ports = {port}
  interfaces = lo
  bind interfaces only = yes
  disable netbios = yes
  map to guest = bad user
  guest account = nobody
  lock directory = {folder}/run
  state directory = {folder}/run
  cache directory = {folder}/run
  private dir = {folder}/run
  pid directory = {folder}/run
  ncalrpc dir = {folder}/run/ncalrpc
  log file = {folder}/smbd.log
  load printers = no
  printcap name = /dev/null
[export]
  path = {served}
  guest ok = yes
  read only = no
  create mask = 0664
  directory mask = 2775
"""


class Samba:
    """A share `export` of the folder `served`, from `start` to `close`."""

    def __init__(self, folder: Path, served: Path, *, port: int | None = None) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        if port is None:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = int(free.getsockname()[1])
        self._port = port
        (folder / "run").mkdir(parents=True)
        self._config = folder / "smb.conf"
        self._config.write_text(_CONFIG.format(port=self._port, folder=folder, served=served))

    def start(self) -> None:
        """Serve, or skip the test where that is not possible."""
        smbd = shutil.which("smbd", path=f"{os.environ['PATH']}:/usr/sbin")
        if smbd is None or shutil.which("smbclient") is None:
            pytest.skip("smbd and smbclient are not installed (Debian: samba, smbclient)")
        if os.geteuid() != 0:
            pytest.skip("an smbd of its own needs root")
        with (self._folder / "smbd.out").open("wb") as output:
            self._process = subprocess.Popen(
                [smbd, "--foreground", "--no-process-group", "-s", str(self._config)],
                stdout=output,
                stderr=output,
                # At its end it signals its whole process group.
                start_new_session=True,
            )
        try:
            until(lambda: is_listened_to(self._port))
        except AssertionError:
            pytest.fail((self._folder / "smbd.out").read_text(errors="replace"))

    def kill(self) -> None:
        """End the server and its sessions at once, with what is on its way."""
        assert self._process is not None
        leader = self._process.pid
        found = subprocess.run(["pgrep", "-s", str(leader)], check=False, capture_output=True)
        for word in {str(leader), *found.stdout.decode().split()}:
            with suppress(ProcessLookupError):
                os.kill(int(word), signal.SIGKILL)
        self._process.wait()

    def client(self, *commands: str) -> None:
        """Have a client do these commands of smbclient(1)."""
        words = ["-s", str(self._config), "-p", str(self._port), "-N", "//127.0.0.1/export"]
        done = subprocess.run(
            ["smbclient", *words, "-c", "; ".join(commands)],
            check=False,
            capture_output=True,
            text=True,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert "NT_STATUS" not in said, said

    def close(self) -> None:
        """End the server and its sessions."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """The share `export` of this machine's server at CLIENT_PORT, as a folder below this one."""
    if shutil.which("smbnetfs") is None or not Path("/dev/fuse").exists():
        pytest.skip("smbnetfs or /dev/fuse is not there (Debian: smbnetfs)")
    home, at = folder / "home", folder / "network"
    (home / ".smb").mkdir(parents=True)
    at.mkdir()
    for name in ("smb.conf", "smbnetfs.conf", "smbnetfs.auth", "smbnetfs.host"):
        (home / ".smb" / name).touch(0o600)
    subprocess.run(["smbnetfs", str(at)], check=True, env={**os.environ, "HOME": str(home)})
    try:
        yield at / "127.0.0.1" / "export"
    finally:
        subprocess.run(["fusermount3", "-u", "-z", str(at)], check=False, capture_output=True)
