"""Reads what a new bundle takes over from its parent, before minutes of work are spent on it."""

from __future__ import annotations

from typing import Any

from converters.int8.graphs import FP16
from edge.bundle import Bundle
from edge.errors import BundleError, ConfigError
from edge.files.strict_json import parse_json
from edge.manifest import EVIDENCE_NAME, read_text, require_dict


def evidence_of_parent(parent: Bundle) -> dict[str, Any]:
    """The parent's evidence, of which each graph's entry says how it was quantized.

    Raises:
        BundleError: it is missing or damaged.
    """
    try:
        evidence = require_dict(parse_json(parent.read(EVIDENCE_NAME)))
        for entry in require_dict(evidence["graphs"]).values():
            require_dict(entry)
        require_dict(evidence.get(FP16.target, {}))
    except (KeyError, ValueError) as error:
        raise BundleError(
            f"{parent.root / EVIDENCE_NAME} is damaged ({type(error).__name__}: {error}). Convert "
            "the model again."
        ) from error
    return evidence


def require_version(version: str) -> None:
    """Check that a bundle can have a version.

    Raises:
        ConfigError: it is too long.
    """
    try:
        read_text(version, "the version")
    except ValueError as error:
        raise ConfigError(f"{error}: give a shorter --site.") from error
