"""Tests for daemon.state_dir: one daemon at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.state_dir import owned_state_dir
from edge.errors import StorageError


def test_owned_state_dir_new_folder_is_private(tmp_path: Path) -> None:
    with owned_state_dir(tmp_path / "a" / "state"):
        assert stat.S_IMODE((tmp_path / "a" / "state").stat().st_mode) == 0o700


@pytest.mark.usefixtures("_no_superuser")
def test_owned_state_dir_below_a_folder_without_permission_is_a_storage_error(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0)
    try:
        with (
            pytest.raises(StorageError, match="Permission denied"),
            owned_state_dir(tmp_path / "a" / "state"),
        ):
            pass
    finally:
        tmp_path.chmod(0o700)
    with owned_state_dir(tmp_path / "a" / "state"):
        pass


def test_owned_state_dir_that_cannot_be_listed_is_a_storage_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(StorageError, match=r"^state_dir .* cannot be read \(Input/output error"):
        owned_state_dir(tmp_path).__enter__()


def test_owned_state_dir_second_owner_is_refused_and_told_who(tmp_path: Path) -> None:
    with (
        owned_state_dir(tmp_path),
        pytest.raises(StorageError, match=f"in use by process {os.getpid()}"),
        owned_state_dir(tmp_path),
    ):
        pass
    with owned_state_dir(tmp_path):
        pass


def test_owned_state_dir_on_a_file_system_without_locks_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with (
        pytest.raises(StorageError, match=r"No locks available.*local disk"),
        owned_state_dir(tmp_path),
    ):
        pass


def test_owned_state_dir_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from daemon.state_dir import owned_state_dir\n"
        "with owned_state_dir(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parent.parent.parent
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StorageError, match=f"process {holder.pid}"), owned_state_dir(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    with owned_state_dir(tmp_path):
        pass
