"""Install the servers and the browser that the tests start, where that is ours to do: as root on Debian.

Elsewhere, say nothing: the tests look for them themselves (see taskbridge/services and tests/browser.py) and name what
is missing; this only spares root the reading.
"""

from __future__ import annotations

import shutil
import sys

from taskbridge.errors import ServiceUnavailable
from taskbridge.services import KINDS, apt, system

BROWSER = "chromium-driver"


def main() -> int:
    missing = {apt.PACKAGES[kind]: f"{kind} server" for kind in KINDS if system.find(kind) is None}
    if shutil.which("chromedriver") is None:
        missing[BROWSER] = "browser"
    if not missing or not apt.possible():
        return 0
    sys.stderr.write(f"servers: installing {', '.join(missing)} for the tests, once\n")
    try:
        apt.install_packages(list(missing), wanted=list(missing.values()))
    except ServiceUnavailable as failure:
        sys.stderr.write(f"servers: the tests go on without: {failure}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
