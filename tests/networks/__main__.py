import sys

from tests.networks.cli import main

sys.exit(main())
