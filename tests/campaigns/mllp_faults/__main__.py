"""Run by hand: see `campaign.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.campaigns.mllp_faults.campaign import parser, run_campaign


def main() -> int:
    """Run the faults; returns 1 if one lost, doubled or wrongly credited a result."""
    arguments = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run_campaign(
            Path(folder),
            faults=arguments.faults,
            seed=arguments.seed,
            show=_show,
        )
    sys.stdout.write("\n".join(figures.lines()) + "\n")
    return 1 if figures.problems else 0


def _show(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
