"""The offline kit: a Python and TensorRT 8.6 that are unpacked into a folder, `$KIT`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping


def bind_lazily_in_kit() -> None:
    """Let TensorRT's bindings load although functions of cuBLAS and cuDNN are missing.

    The kit's cuBLAS and cuDNN are empty: only the plugin library links them, and a CNN calls no
    plugin. Must run before the bindings are imported. Elsewhere nothing is changed.
    """
    if "KIT" in os.environ:
        sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)


def environment_without_kit(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for another Python, which must find nothing of the kit's."""
    kit = environ.get("KIT")
    if kit is None:
        return dict(environ)
    kept = {name: value for name, value in environ.items() if name not in ("KIT", "PYTHONHOME")}
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH"):
        folders = [f for f in kept.pop(name, "").split(":") if f and not f.startswith(kit)]
        if folders:
            kept[name] = ":".join(folders)
    return kept
