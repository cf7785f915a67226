"""Source: programs that are installed on the system."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge.services.installation import PROGRAMS, Installation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskbridge.services.kind import Kind

_DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
_RABBITMQ_LIBRARY = Path("/usr/lib/rabbitmq/bin")
_HOMEBREW = (Path("/opt/homebrew"), Path("/usr/local"))
"""Where it lives on Apple's and on Intel's processors."""


def find(kind: Kind) -> Installation | None:
    """The system's own programs: on PATH, or where Debian and Homebrew keep what is not for PATH."""
    programs: dict[str, Path] = {}
    for name in PROGRAMS[kind]:
        found = shutil.which(name, path=os.pathsep.join(_folders(kind)))
        if found is None:
            return None
        programs[name] = Path(found)
    return Installation(kind=kind, origin="system", programs=programs)


def _folders(kind: Kind) -> list[str]:
    on_path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if sys.platform == "darwin":
        return [*on_path, *(str(folder) for prefix in _HOMEBREW for folder in _of_homebrew(kind, prefix))]
    if kind == "postgres":
        return [*map(str, _newest_first(_DEBIAN_POSTGRES.glob("*/bin"))), *on_path]
    if kind == "rabbitmq":
        # On PATH lies a wrapper that changes the user and the log; the library folder has the real scripts.
        return [str(_RABBITMQ_LIBRARY), *on_path]
    return on_path


def _of_homebrew(kind: Kind, prefix: Path) -> list[Path]:
    folders = [prefix / "bin", prefix / "sbin"]
    if kind == "postgres":  # which it links nowhere else, so that several may be installed
        folders[:0] = _newest_first(prefix.glob("opt/postgresql@*/bin"))
    return folders


def _newest_first(folders: Iterable[Path]) -> list[Path]:
    """By the number at the end of their parents' names; those without one are none of a version."""
    versions = {int(found[0]): folder for folder in folders if (found := re.search(r"\d+$", folder.parent.name))}
    return [versions[version] for version in sorted(versions, reverse=True)]
