"""`edge-daemon` as a process of its own, also where no command of that name is installed."""

from __future__ import annotations

import sys

from daemon.cli import main
from tests.gpu.kit import bind_lazily_in_kit

if __name__ == "__main__":
    bind_lazily_in_kit()
    sys.exit(main(sys.argv[1:]))
