"""Finds how this package was installed, so that advice can name a command that works here."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

_NAME: Final = "microscope-edge"


def install_command(extra: str) -> str:
    """The command that adds an extra, such as `pip install '/srv/checkout[convert]'`.

    This package is on no package index: it is installed from a checkout or a wheel file.
    """
    return f"pip install '{_source() or 'CHECKOUT-OR-WHEEL'}[{extra}]'"


def _source() -> str | None:
    """The checkout or wheel that this package was installed from; None if it is gone."""
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file():
        return str(checkout)
    # Every command imports this module, and few ever need these.
    from importlib.metadata import PackageNotFoundError, distribution

    with suppress(PackageNotFoundError, ValueError, KeyError):
        # PEP 610: pip records the source in direct_url.json.
        record = json.loads(distribution(_NAME).read_text("direct_url.json") or "{}")
        path = Path(unquote(urlsplit(record["url"]).path))
        if path.exists():
            return str(path)
    return None
