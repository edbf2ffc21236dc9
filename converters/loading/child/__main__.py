"""Start of the child process: `python -m converters.loading.child FOLDER`.

The sandbox is set up before numpy and torch are imported: they start threads, and Landlock applies
only to the calling thread and to threads that it starts later.
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
    """Restrict this process, report the guards to the converter, and open the file."""
    end_with_parent()
    set_limits(Limits(**json.loads((folder / REQUEST_NAME).read_bytes())["limits"]))
    guards = confine(folder)
    # Libraries write caches and settings to the home folder.
    os.environ["HOME"] = str(folder)
    # Reported through a pipe that is closed before the file is opened, so that the file cannot
    # change the report.
    sys.stdout.write(guards)
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    from converters.loading.child.open_source import open_source

    open_source(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
