"""Whether a folder is on a share, where inotify reports no changes by other machines."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")

# File systems that other machines, or a program in user space, change without events of inotify.
# Without `fuseblk`, a local disk behind a FUSE driver.
_SHARES: Final = frozenset(
    {"cifs", "smb3", "smbfs", "nfs", "nfs4", "9p", "afs", "ceph", "fuse", "lustre", "beegfs"}
    | {"virtiofs", "vboxsf", "vmhgfs", "prl_fs"}
)

_NETWORK: Final = (_SHARES - {"fuse", "virtiofs"}) | {
    *("fuse.sshfs", "fuse.smbnetfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.davfs2"),
    *("fuse.curlftpfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.gvfsd-fuse", "fuse.mfs"),
}


def is_on_share(folder: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether the folder's file system must be polled; for a missing folder, its parent's."""
    type_ = file_system_type(folder, mounts)
    return type_ in _SHARES or type_.startswith("fuse.")


def network_type(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type of the folder's file system if it is on another machine; None: it is local.

    Of FUSE, which also serves local folders, only types that are known to be shares count.
    """
    type_ = file_system_type(folder, mounts)
    return type_ if type_ in _NETWORK else None


def file_system_type(folder: Path, mounts: Path = _MOUNTS) -> str:
    """The kernel's name of the folder's file system, such as `ext4` or `cifs`; empty if unknown."""
    return _mount_of(folder, mounts)[1]


def mount_point(folder: Path, mounts: Path = _MOUNTS) -> str:
    """Where the folder's file system is mounted; empty if unknown."""
    return _mount_of(folder, mounts)[0]


@dataclass(frozen=True, slots=True)
class FileSystem:
    """Where a folder's file system is mounted.

    Attributes:
        point: the mount point; empty if unknown.
        type: the kernel's name, such as `ext4` or `cifs`; empty if unknown.
    """

    point: str
    type: str


def file_system_of(folder: Path, mounts: Path = _MOUNTS) -> FileSystem:
    """The file system of a folder, the same inside and outside of systemd's sandbox.

    `ReadWritePaths=` and the like mount a folder upon itself. Such a mount is passed over: it is of
    the same device, and its root is the folder that the mount above has there.
    """
    path = os.path.realpath(folder)
    lines = mounts.read_text(errors="surrogateescape").splitlines()
    # A later mount hides an earlier one at the same mount point.
    way = {mount.point: mount for mount in map(_Mount.parse, lines) if _is_below(path, mount.point)}
    found = _Mount("", "", "", "")
    for _, mount in sorted(way.items()):
        if not mount.is_part_of(found):
            found = mount
    return FileSystem(found.point, found.type)


def mounts_below(folder: Path, mounts: Path = _MOUNTS) -> list[Path]:
    """The mount points below a folder."""
    path = os.path.realpath(folder)
    lines = mounts.read_text(errors="surrogateescape").splitlines()
    points = {mount for mount, _ in map(_parse, lines)}
    return [Path(mount) for mount in sorted(points) if mount != path and _is_below(mount, path)]


def _mount_of(folder: Path, mounts: Path) -> tuple[str, str]:
    """Mount point and type of a folder's file system. The format is in proc_pid_mountinfo(5)."""
    path = os.path.realpath(folder)
    best, best_type = "", ""
    for line in mounts.read_text(errors="surrogateescape").splitlines():
        mount, type_ = _parse(line)
        # A later mount hides an earlier one at the same mount point.
        if len(mount) >= len(best) and _is_below(path, mount):
            best, best_type = mount, type_
    return best, best_type


@dataclass(frozen=True, slots=True)
class _Mount:
    """A line of mountinfo.

    Attributes:
        device: major and minor number.
        root: what of the file system is mounted.
    """

    point: str
    type: str
    device: str
    root: str

    @classmethod
    def parse(cls, line: str) -> _Mount:
        fields = line.split(" ")
        point, type_ = _parse(line)
        return cls(point, type_, fields[2], _unescaped(fields[3]))

    def is_part_of(self, above: _Mount) -> bool:
        """Whether it shows what the mount above it shows there as well."""
        if not above.point or self.device != above.device:
            return False
        there = os.path.relpath(self.point, above.point)
        return os.path.normpath(os.path.join(above.root, there)) == self.root  # noqa: PTH118


def _parse(line: str) -> tuple[str, str]:
    fields = line.split(" ")
    return _unescaped(fields[4]), fields[fields.index("-") + 1]


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _is_below(path: str, mount: str) -> bool:
    return path == mount or path.startswith(mount.rstrip("/") + "/")


class MountMemory:
    """Remembers where a folder's file system was mounted, to notice when it is unmounted.

    The mount point then remains as an empty local folder, and files written there are hidden as
    soon as the share is mounted again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._identity: tuple[int, int] | None = None
        self._point = ""

    def is_unmounted(self, status: os.stat_result) -> bool:
        """Whether `status`, the folder's now, is that of an unmounted share's mount point.

        A folder that was made anew, or a share mounted again with another device number, is
        accepted and remembered.
        """
        identity = status.st_dev, status.st_ino
        if identity != self._identity:
            point = mount_point(self._folder)
            # The share may be mounted again between the look at `status` and that at the mounts.
            if len(point) < len(self._point) or not self._is_now(identity):
                return True
            self._identity, self._point = identity, point
        return False

    def _is_now(self, identity: tuple[int, int]) -> bool:
        try:
            status = self._folder.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == identity
