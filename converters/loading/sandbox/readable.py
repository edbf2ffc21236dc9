"""The files that the child may read: Python, its libraries, the search path, system facts."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import Final

# Shared libraries and their cache, time zone, user names, facts about the processor.
_SYSTEM: Final = (
    *("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/ssl/openssl.cnf"),
    *("/etc/localtime", "/etc/passwd", "/etc/nsswitch.conf"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version"),
    *("/proc/sys/vm", "/sys/devices/system", "/sys/fs/cgroup"),
    *("/dev/zero", "/dev/random", "/dev/urandom"),
)
WRITABLE_DEVICE: Final = Path("/dev/null")


# Suffixes of files that Python imports: .py, .pyc and compiled modules.
_SUFFIXES: Final = tuple(all_suffixes())


def readable_paths() -> list[Path]:
    """Files and folders; everything below a folder may be read too."""
    installed = (sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values())
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    entries = {*installed, *libraries, *sys.path, *_editable_packages()} - {""}
    return [*map(Path, _SYSTEM), *(part for e in sorted(entries) for part in _modules_of(Path(e)))]


def _editable_packages() -> Iterator[str]:
    """Packages that `pip install --editable` finds without the search path."""
    for name, module in list(sys.modules.items()):
        if name.startswith("__editable__"):
            for place in getattr(module, "MAPPING", {}).values():
                yield from (place, f"{place}.py")


def _modules_of(folder: Path) -> Iterator[Path]:
    """The folder itself; but if it contains the home folder, only its modules and packages."""
    if not Path.home().resolve().is_relative_to(folder.resolve()):
        yield folder
        return
    for entry in _listed(folder):
        is_package = any(inner.suffix == ".py" for inner in _listed(entry))
        if not entry.name.startswith(".") and (is_package or entry.name.endswith(_SUFFIXES)):
            yield entry


def _listed(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(folder.iterdir())
    return []
