"""Exit codes, which scripts may rely on."""

from typing import Final

FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
REFUSED: Final = 4
TIMED_OUT: Final = 5
KILLED: Final = 6
"""Asked to stop, and something had to be killed."""
