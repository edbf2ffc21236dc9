"""Tests whether the GPU labels the golden images, in a process of its own.

    python -m edge.backends.probe NAME.edge [--sha256 HASH] [--cache DIR] [--precision int8]

A broken GPU can hang or crash the process that opens it, and the service must survive that.
Exit codes: see `edge.errors`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge.backends.onnx import BACKEND_NAME
from edge.backends.opening import Opening
from edge.backends.select import open_session
from edge.bundle import load_bundle
from edge.errors import BackendError, BundleError, EdgeError
from edge.golden import check_session
from edge.system.children import end_with_parent


def main(argv: list[str] | None = None) -> int:
    """Test the GPU; returns the exit code."""
    end_with_parent()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--sha256", help="of its manifest; another bundle is refused")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--precision")
    arguments = parser.parse_args(argv)
    try:
        bundle = load_bundle(arguments.bundle)
        if arguments.sha256 not in (None, bundle.sha256):
            raise BundleError(f"{arguments.bundle} has been replaced by another bundle.")
        opening = Opening(cache=arguments.cache)
        session = open_session(bundle, precision=arguments.precision, opening=opening)
        check_session(bundle, session)
        is_on_gpu = session.backend != BACKEND_NAME
        session.close()
    except EdgeError as error:
        return error.exit_code
    return 0 if is_on_gpu else BackendError.exit_code


if __name__ == "__main__":
    sys.exit(main())
