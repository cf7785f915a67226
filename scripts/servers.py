"""Install the servers that the tests start, where that is ours to do: as root on Debian. Elsewhere, say nothing.

The tests look for servers themselves (see taskbridge/services) and name what is missing; this only spares root the
reading.
"""

from __future__ import annotations

import sys

from taskbridge.errors import ServiceUnavailable
from taskbridge.services import KINDS, apt, system


def main() -> int:
    missing = [kind for kind in KINDS if system.find(kind) is None]
    if not missing or not apt.possible():
        return 0
    sys.stderr.write(f"servers: installing {', '.join(missing)} for the tests, once\n")
    try:
        apt.install_packages(missing)
    except ServiceUnavailable as failure:
        sys.stderr.write(f"servers: the tests go on without: {failure}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
