"""What the adapters of Django's native backends have in common: each is an alias of `TASKS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from taskbridge.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Mapping


class AliasBackend(Backend):
    """An alias of `TASKS`, whichever native backend it has."""

    engine: ClassVar[str] = "django"
    brokers: ClassVar[tuple[str, ...]] = ("db", "rq")
    url_options: ClassVar[Mapping[str, str]] = {
        "serializer": "on rq: json, or pickle to talk with stock workers and producers"
    }
    wire_names: ClassVar[Literal["name", "module path"]] = "module path"
