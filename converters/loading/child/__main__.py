"""The child's start: `python -m converters.loading.child FOLDER PARENT`.

The guards come first. numpy and torch start threads when they are imported, and Landlock binds
only the thread that asks for it and those that it starts later.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from converters.loading.sandbox.confine import confine
from converters.loading.sandbox.limits import REQUEST_NAME, Limits, set_limits
from edge.system.children import end_with_parent


def main(folder: Path) -> None:
    """Restrict this process, tell the converter how, and open the file."""
    end_with_parent()
    set_limits(Limits(**json.loads((folder / REQUEST_NAME).read_bytes())["limits"]))
    guards = confine(folder)
    # Libraries write their caches and settings there.
    os.environ["HOME"] = str(folder)
    # Through a pipe that is closed before the file is opened: nothing in the file can change it.
    sys.stdout.write(guards)
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    from converters.loading.child.open_source import open_source

    open_source(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
