"""What a look of `edge-results send --watch` costs where many sidecars are old.

    python -m tests.campaigns.watch_cost [--cells 100000] [--per-folder 200] [--looks 5] \
        [--output DIR]

Issues all slides first. Then, before each look, one sidecar comes: of a cell of an old slide, and
of a new slide; and looks without a change. Prints seconds of processor time, the least and the
most of the looks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from edge.results.issued.issued import Issued
from edge.results.send.issuing import Issuing
from edge.results.send.known_sidecars import SETTLED_S
from edge.results.settings.slide_config import SlideConfig
from edge.sidecar import sidecar_path, to_json
from tests.campaigns.read_speed import make_sidecars
from tests.support.sidecar_tree import fields_of, outcome


def main() -> int:
    """Make the files, issue them, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--per-folder", type=int, default=200)
    parser.add_argument("--looks", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path.cwd())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".watch-", dir=arguments.output) as scratch:
        root, state = Path(scratch) / "watched", Path(scratch) / "state"
        root.mkdir()
        make_sidecars(root, arguments.cells, arguments.per_folder)
        with Issued.open(state) as issued:
            issuing = Issuing(SlideConfig(root), issued, say)
            say(f"first look, which issues all: {cost_s(issuing.issue):.1f} s of processor time")
            # The times of the folders show all further changes from now on.
            time.sleep(SETTLED_S)
            say(f"listing all again: {cost_s(issuing.issue):.2f} s")
            for what, folder in (("of an old slide", "S000000/{}"), ("of a new slide", "N{}/0")):
                before = issued.newest()
                costs = []
                for number in range(arguments.looks):
                    add_sidecar(root, f"{folder.format(number)}.jpg")
                    costs.append(cost_s(issuing.issue))
                made = issued.newest() - before
                say(f"one sidecar {what}: {told(costs)}; {made} results")
            costs = [cost_s(issuing.issue) for _ in range(arguments.looks)]
            say(f"no change: {told(costs)}")
    return 0


def add_sidecar(root: Path, name: str) -> None:
    """The sidecar of one more cell, of the sample that its folder names."""
    found = outcome(f"late {name}".encode())
    path = sidecar_path(root / name, "json")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(to_json(fields_of(found, name.encode(), path.parent.name, "1")))


def cost_s(work: Callable[[], None]) -> float:
    """Processor time, as other work may run."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def told(costs: list[float]) -> str:
    """The least and the most."""
    return f"{min(costs):.2f} to {max(costs):.2f} s"


def say(line: str) -> None:
    """At once."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
