"""A real smbd of this test's own, and clients of it as a Windows machine is one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.waiting import is_listened_to, until

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

    def __init__(self, folder: Path, served: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
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
