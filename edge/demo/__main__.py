"""Run the demonstration."""

import sys

from edge.demo.cli import main

sys.exit(main())
