"""Source: programs that are installed on the system."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge.services.installation import PROGRAMS, Installation

if TYPE_CHECKING:
    from taskbridge.services.server import Kind

_DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
_RABBITMQ_LIBRARY = Path("/usr/lib/rabbitmq/bin")


def find(kind: Kind) -> Installation | None:
    """The system's own programs: on PATH, in the sbin folders, or where Debian keeps those that are not for PATH."""
    programs: dict[str, Path] = {}
    for name in PROGRAMS[kind]:
        found = shutil.which(name, path=os.pathsep.join(_folders(kind)))
        if found is None:
            return None
        programs[name] = Path(found)
    return Installation(kind=kind, origin="system", programs=programs)


def _folders(kind: Kind) -> list[str]:
    on_path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if kind == "postgres":
        versions = [folder for folder in _DEBIAN_POSTGRES.glob("*/bin") if re.fullmatch(r"\d+", folder.parent.name)]
        newest_first = sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True)
        return [*map(str, newest_first), *on_path]
    if kind == "rabbitmq":
        # On PATH lies a wrapper that changes the user and the log; the library folder has the real scripts.
        return [str(_RABBITMQ_LIBRARY), *on_path]
    return on_path
