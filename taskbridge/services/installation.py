"""A server's programs, as a source found them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from taskbridge.services.kind import Kind

PROGRAMS: Mapping[Kind, tuple[str, ...]] = {
    "redis": ("redis-server",),
    "rabbitmq": ("rabbitmq-server", "rabbitmqctl", "erl"),
    "postgres": ("initdb", "postgres"),
}
"""What has to be there for each kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The programs of one kind of server, from one source."""

    kind: Kind
    origin: str
    programs: Mapping[str, Path]
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the programs need to run from where they lie."""

    root: Path | None = None
    """The folder below which it can be moved, where there is one."""
    parts: tuple[str, ...] = (".",)
    """What of the root belongs to it."""

    def from_origin(self, origin: str) -> Self:
        """The same programs, under another origin."""
        return replace(self, origin=origin)

    def copied_to(self, folder: Path) -> Self:
        """A copy in the new `folder`, for a user who cannot enter where it lies."""
        assert self.root is not None
        for part in self.parts:
            shutil.copytree(self.root / part, folder / part, symlinks=True)
        programs = {name: folder / program.relative_to(self.root) for name, program in self.programs.items()}
        environment = {name: text.replace(str(self.root), str(folder)) for name, text in self.environment.items()}
        return replace(self, programs=programs, environment=environment, root=folder)
