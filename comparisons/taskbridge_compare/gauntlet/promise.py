"""What a row's own record says of a job whose worker dies. Asked where the row's application runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ASK = """\
import json
from taskbridge.router import router
support = router.backend("default").capabilities.at_least_once
print(json.dumps({"level": support.level, "note": support.note}))
"""
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Promise:
    """The level of `at_least_once` in a backend's record, and the record's words."""

    level: str
    note: str

    @property
    def is_given(self) -> bool:
        """True if the backend promises that a job whose worker dies runs again."""
        return self.level in ("native", "emulated")

    def plain(self) -> dict[str, Any]:
        return {"level": self.level, "note": self.note}


NOTHING_ASKED = Promise("unknown", "the engine's own application: it has no record")


def promise(environment: Mapping[str, str], directory: Path) -> Promise:
    """Of the application of TaskBridge's profile that lies in `directory`. Needs no server."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=_SECONDS,
        check=False,
        text=True,
    )
    if done.returncode:
        raise OSError(f"the record of {environment.get('TASKBRIDGE_URL')} cannot be read: {done.stderr[-400:]}")
    return Promise(**json.loads(done.stdout.splitlines()[-1]))
