"""Tests for edge.system.mounts: on the kernel's format, with shares that are not here."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.system.mounts import (
    FileSystem,
    MountMemory,
    file_system_of,
    file_system_type,
    is_on_share,
    mount_point,
    network_type,
)

MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /mnt/dm96 rw - cifs //pc/export rw
31 22 0:26 / /mnt/two\040words rw master:1 - nfs4 host:/x rw
32 22 0:27 / /mnt/ssh rw - fuse.sshfs host: rw
33 22 0:28 / /mnt/usb rw - fuseblk /dev/sdb1 rw
34 30 254:1 / /mnt/dm96/local rw - xfs /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("folder", "type_", "is_share"),
    [
        ("/somewhere", "ext4", False),
        ("/mnt/dm96", "cifs", True),
        ("/mnt/dm96/S1/not/there/yet", "cifs", True),
        ("/mnt/dm96x", "ext4", False),
        ("/mnt/dm96/local/x", "xfs", False),
        ("/mnt/two words/x", "nfs4", True),
        ("/mnt/ssh", "fuse.sshfs", True),
        ("/mnt/usb", "fuseblk", False),
    ],
)
def test_file_system_of_a_folder(
    tmp_path: Path, folder: str, type_: str, *, is_share: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system_type(Path(folder), mounts) == type_
    assert is_on_share(Path(folder), mounts) is is_share


@pytest.mark.parametrize(
    ("folder", "type_"),
    [
        ("/mnt/dm96/state/not/there/yet", "cifs"),
        ("/mnt/two words", "nfs4"),
        ("/mnt/ssh/x", "fuse.sshfs"),
        ("/somewhere", None),
        ("/mnt/usb", None),
        ("/mnt/vault", None),  # an encrypted folder of this machine
    ],
)
def test_network_type_of_a_folder(tmp_path: Path, folder: str, type_: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"{MOUNTS}35 22 0:29 / /mnt/vault rw - fuse.gocryptfs /x rw\n")
    assert network_type(Path(folder), mounts) == type_


def test_mount_point_of_a_folder(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert mount_point(Path("/mnt/dm96/S1"), mounts) == "/mnt/dm96"
    assert mount_point(Path("/mnt"), mounts) == "/"


def test_file_system_of_this_machine_is_known(tmp_path: Path) -> None:
    assert file_system_type(tmp_path)


@pytest.mark.parametrize(
    ("folder", "point", "type_"),
    [
        ("/srv/dm96/results/S1", "/", "ext4"),
        ("/mnt/dm96/export/S1", "/mnt/dm96", "cifs"),
        ("/mnt/dm96/local", "/mnt/dm96/local", "xfs"),
        ("/srv/other", "/srv/other", "ext4"),
        ("/mnt/two words", "/mnt/two words", "nfs4"),
    ],
)
def test_file_system_is_the_same_inside_and_outside_of_systemd_s_sandbox(
    tmp_path: Path, folder: str, point: str, type_: str
) -> None:
    mounts = tmp_path / "mountinfo"
    # The first two are folders mounted upon themselves, the third is another folder of the disk.
    sandbox = """40 22 254:0 /srv/dm96/results /srv/dm96/results rw - ext4 /dev/vda rw
41 30 0:25 /export /mnt/dm96/export ro - cifs //pc/export rw
42 22 254:0 /data /srv/other rw - ext4 /dev/vda rw
"""
    mounts.write_text(MOUNTS + sandbox)
    assert file_system_of(Path(folder), mounts) == FileSystem(point, type_)


def test_folder_that_was_mounted_over_after_it_was_opened_counts_as_unmounted(
    tmp_path: Path,
) -> None:
    folder, below = tmp_path / "results", tmp_path / "below"
    folder.mkdir()
    below.mkdir()
    memory = MountMemory(folder)
    assert not memory.is_unmounted(folder.stat())
    # Opened while the share was away, and the share is there again: what is written into the
    # opened folder would be hidden.
    assert memory.is_unmounted(below.stat())
    assert not memory.is_unmounted(folder.stat())
