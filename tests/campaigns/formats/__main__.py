"""Starts the campaign: `python -m tests.campaigns.formats`."""

from __future__ import annotations

import sys

from tests.campaigns.formats.campaign import main

if __name__ == "__main__":
    sys.exit(main())
