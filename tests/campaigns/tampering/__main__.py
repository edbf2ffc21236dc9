"""Run by hand: see `campaign.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.campaigns.tampering.campaign import parser, run_campaign


def main() -> int:
    """Tamper; returns 1 if one tamper was not found, or something untouched was complained of."""
    arguments = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run_campaign(
            Path(folder),
            records=arguments.records,
            slides=arguments.slides,
            seed=arguments.seed,
            show=_show,
        )
    sys.stdout.write("\n".join(figures.lines()) + "\n")
    return 1 if figures.problems else 0


def _show(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
