"""The entry point `django`: one class for each native backend of Django tasks, chosen by the URL's second half."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from taskbridge.backend import Backend
from taskbridge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge.settings import BackendURL


class DjangoBackend(Backend):
    """A `TASKS` alias. `DjangoBackend(url)` gives the adapter of the native backend that the URL names."""

    engine: ClassVar[str] = "django"
    brokers: ClassVar[tuple[str, ...]] = ("db", "rq")
    url_options: ClassVar[Mapping[str, str]] = {
        "serializer": "on rq: json, or pickle to talk with stock workers and producers"
    }
    wire_names: ClassVar[Literal["name", "module path"]] = "module path"

    def __new__(cls, url: BackendURL, *, queues: Sequence[str] = ("default",)) -> DjangoBackend:
        del queues  # __init__ of the adapter reads it
        if cls is not DjangoBackend:
            return super().__new__(cls)
        if url.broker == "db":
            from taskbridge_django_tasks.db import DatabaseBackend

            return super().__new__(DatabaseBackend)
        if url.broker == "rq":
            from taskbridge_django_tasks.rq import QueueBackend

            return super().__new__(QueueBackend)
        raise ConfigurationError(
            f"{url}: Django tasks on {url.broker!r} are not known. Write django+db://ALIAS or django+rq://ALIAS."
        )

    def __init__(self, url: BackendURL, *, queues: Sequence[str] = ("default",)) -> None:
        """Every adapter takes these two."""
