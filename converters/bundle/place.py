"""Checks the place where a bundle is to be written: only an earlier bundle may be replaced."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from edge.errors import ConfigError
from edge.files.nearest import nearest_existing
from edge.files.strict_json import parse_json
from edge.manifest import MANIFEST_NAME, MAX_JSON_BYTES, SCHEMA, SEAL_NAME
from edge.text.printable import printable


def require_target(target: Path, sources: Iterable[Path], *, overwrite: bool) -> None:
    """Check, before the conversion starts, that a bundle can be written as `target`.

    Args:
        sources: files and folders that the conversion reads.

    Raises:
        ConfigError: it exists and may not be replaced, or holds files that are not a bundle's; or
            no folder can be made there.
    """
    _require_writable(target)
    if not (target.exists() or target.is_symlink()):
        return
    foreign = _foreign(target)
    if foreign is not None:
        raise ConfigError(
            f"{target} exists and {foreign}, so it is not replaced; give --out another."
        )
    place = target.resolve()
    for source in sources:
        if source.resolve().is_relative_to(place):
            raise ConfigError(
                f"{target} holds {source}, which the conversion reads, so it is not replaced; "
                "give --out another."
            )
    if not overwrite:
        raise ConfigError(f"{target} exists; give --overwrite to replace it or --out another.")


def _require_writable(target: Path) -> None:
    """Check the nearest folder above the target that exists, in which the rest is made."""
    above = nearest_existing(target.absolute().parent)
    if not above.is_dir():
        raise ConfigError(f"{target} cannot be made: {above} is no folder; give --out another.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{target} cannot be made: this user may not write in {above}, or it is read-only; "
            "give --out another."
        )


def _foreign(target: Path) -> str | None:
    """The reason why a path must not be replaced; None for a bundle or an empty folder."""
    if not target.is_dir():
        return "is no folder"
    try:
        found = {path.name for path in target.iterdir()}
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not found:
        return None
    own = _names_in_bundle(target / MANIFEST_NAME)
    if own is None:
        return "is no bundle"
    foreign = sorted(found - own)
    return f"holds {printable(foreign[0])}, which is no part of a bundle" if foreign else None


def _names_in_bundle(manifest: Path) -> set[str] | None:
    """The names in a bundle's folder according to its manifest; None if that is no manifest."""
    try:
        if manifest.stat().st_size > MAX_JSON_BYTES:
            return None
        values = parse_json(manifest.read_bytes())
        paths = [PurePosixPath(artefact["path"]) for artefact in values["artefacts"]]
        is_manifest = values["schema"] == SCHEMA
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return {MANIFEST_NAME, SEAL_NAME, *(path.parts[0] for path in paths)} if is_manifest else None
