"""Starts the storm: `python -m tests.campaigns.storm`."""

from __future__ import annotations

import sys

from tests.campaigns.storm.storm import main

if __name__ == "__main__":
    sys.exit(main())
