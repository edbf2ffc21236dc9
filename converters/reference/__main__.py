"""Runs the command of `converters.reference.cli`."""

import sys

from converters.reference.cli import main

sys.exit(main())
