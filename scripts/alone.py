"""Run the few tests that failed in a whole run once more, one after the other, and say what that shows.

A test that kills real workers beside four others that do the same may fail because its machine was busy. One that fails
alone too is broken. More than `FEW` are no accident: they stay failed, as does a run that ended for another reason.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

FEW: Final = 3
FAILED: Final = Path(".pytest_cache/v/cache/lastfailed")
GROUP: Final = re.compile(r"@[\w-]+$")
"""What pytest-xdist adds to the name of a test that has `xdist_group`: without it no test is known by that name."""


def main() -> int:
    """Run what failed last; answers the exit code of the whole."""
    failed = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    tests = [GROUP.sub("", name) for name in failed if "::" in name]
    if not tests or len(tests) < len(failed) or len(tests) > FEW:
        return 1
    say(f"{len(tests)} failed beside others. Once more, alone:")
    code = subprocess.run([sys.executable, "-m", "pytest", *tests], check=False).returncode
    if code == 0:
        say("These failed on a busy machine and passed alone. They want to be mended, not to be trusted less:", *tests)
    return code


def say(*lines: str) -> None:
    """Before what a child writes next."""
    sys.stdout.write("\n" + "\n  ".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
