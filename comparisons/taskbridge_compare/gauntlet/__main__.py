"""`python -m taskbridge_compare.gauntlet`."""

from __future__ import annotations

import sys

from taskbridge_compare.gauntlet.command import main

if __name__ == "__main__":
    sys.exit(main())
