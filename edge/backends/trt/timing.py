"""Stores TensorRT's kernel timings between builds, which makes later builds faster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.errors import StorageError
from edge.files import atomic


def build_with_timings(builder: Any, network: Any, config: Any, path: Path | None) -> Any:
    """The serialised engine, or None if the library cannot build it; stores timings in `path`.

    If a build with stored timings fails, the file may be the cause: it is removed, and the build is
    repeated without it.
    """
    if path is None:
        return builder.build_serialized_network(network, config)
    content = _read(path)
    plan = _build(builder, network, config, path, content)
    if plan is None and content:
        path.unlink(missing_ok=True)
        plan = _build(builder, network, config, path, b"")
    return plan


def _build(builder: Any, network: Any, config: Any, path: Path, content: bytes) -> Any:
    cache = _set_cache(config, content)
    plan = builder.build_serialized_network(network, config)
    if plan is not None:
        _save(cache, path)
    return plan


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _set_cache(config: Any, content: bytes) -> Any:
    """Load the timings of earlier builds; start with none if the library refuses them."""
    try:
        cache = config.create_timing_cache(content)
        # False: ignore timings from another GPU or version.
        is_taken = cache is not None and config.set_timing_cache(cache, False)  # noqa: FBT003 - the library's own signature
    except (RuntimeError, ValueError, TypeError):
        is_taken = False
    if not is_taken:
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)  # noqa: FBT003
    return cache


def _save(cache: Any, path: Path) -> None:
    content = bytes(cache.serialize())
    try:
        atomic.make_folder(path.parent)
        atomic.write_file(path, content)
    except StorageError:
        # Without the file only the next build takes longer.
        return
