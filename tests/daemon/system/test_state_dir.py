"""Tests for daemon.system.state_dir: one daemon at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemon.cli import main
from daemon.service_process import ServiceProcess
from daemon.system.state_dir import LOCK_NAME, owned_state_dir
from edge.errors import ConfigError, StorageError
from edge.system.notifier import Notifier
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


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
        "from daemon.system.state_dir import owned_state_dir\n"
        "with owned_state_dir(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[3]
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


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_owned_state_dir_lock_that_is_no_file_is_a_storage_error(tmp_path: Path, kind: str) -> None:
    path, precious = tmp_path / "state" / LOCK_NAME, tmp_path / "precious"
    precious.write_text("precious")
    path.parent.mkdir()
    {"pipe": lambda: os.mkfifo(path), "folder": path.mkdir}.get(
        kind, lambda: path.symlink_to(precious)
    )()
    with pytest.raises(StorageError, match="is not a lock file"), owned_state_dir(path.parent):
        pass
    assert precious.read_text() == "precious"


def test_owned_state_dir_whose_lock_is_replaced_is_not_owned_any_more(tmp_path: Path) -> None:
    with owned_state_dir(tmp_path) as require:
        require()
        (tmp_path / LOCK_NAME).unlink()
        for _ in range(2):
            with pytest.raises(StorageError, match="lock was removed or replaced while"):
                require()
            (tmp_path / LOCK_NAME).touch()


def test_run_whose_state_lock_is_removed_starts_its_service_anew(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.supervision.supervisor.INTERVAL_S", 0.05)
    caplog.set_level("INFO", "daemon")
    lifecycle = ServiceProcess(site.config_path, Notifier({}))
    thread = threading.Thread(target=lifecycle.run, args=(site.config(),))
    thread.start()
    try:
        until(lambda: "labelling images" in caplog.text)
        (site.folder / "state" / LOCK_NAME).unlink()
        until(lambda: caplog.text.count("labelling images") == 2)
        site.add("S1/L1/a.jpg", colour_jpeg("red"))
        until(lambda: site.has_sidecar("S1/L1/a.jpg"))
    finally:
        lifecycle.stop()
        thread.join(20)
    assert caplog.text.count("lock was removed or replaced") == 1


def test_owned_state_dir_on_a_share_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.system.state_dir.network_type", lambda _folder: "cifs")
    line = re.escape(
        f"state_dir {tmp_path} is on a share (cifs), where the journal may be damaged. "
        "Give a folder on a local disk."
    )
    with pytest.raises(ConfigError, match=line), owned_state_dir(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_check_config_refuses_a_state_dir_on_a_share(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.system.state_dir.network_type", lambda _folder: "nfs4")
    assert main(["check-config", "--config", str(site.config_path)]) == 2
    assert "is on a share (nfs4)" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can leave files to others")
def test_what_the_superuser_makes_belongs_to_the_owner_of_its_folder(
    site: Site, colour_jpeg: Jpeg
) -> None:
    owner, group = 12345, 12346
    for folder in (site.folder, site.export, site.results):
        os.chown(folder, owner, group)
    site.add("S1/L1/a.jpg", colour_jpeg("red"))
    words = ["--config", str(site.config_path)]
    for command in ("once", "status", "retry", "once"):
        assert main([command, *words]) == 0
    made = [site.folder / "state", *(site.folder / "state").rglob("*"), *site.results.rglob("*")]
    found = {(str(p.relative_to(site.folder)), p.stat().st_uid, p.stat().st_gid) for p in made}
    assert {(uid, gid) for _, uid, gid in found} == {(owner, group)}
    names = {name for name, *_ in found}
    assert {"state/journal.sqlite3", "state/log.key", "results/S1/L1/a.jpg.json"} <= names
    assert "results/.edge-daemon.lock" in names


@pytest.mark.usefixtures("_no_superuser")
def test_owned_state_dir_of_another_user_says_whose_it_is_and_what_to_do(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only the superuser can give folders away")
    tmp_path.chmod(0o700)
    os.chown(tmp_path, 1, 1)  # daemon, of every Linux
    with (
        pytest.raises(StorageError, match=r"belongs to daemon and this is root\. .*chown -R USER"),
        owned_state_dir(tmp_path),
    ):
        pass
