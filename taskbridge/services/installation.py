"""A server's programs, as a source found them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from taskbridge.services.server import Kind

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
