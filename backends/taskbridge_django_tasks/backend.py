"""The entry point `django`: one class for each native backend of Django tasks, chosen by the URL's second half."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskbridge.errors import ConfigurationError
from taskbridge_django_tasks.alias_backend import AliasBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.settings import BackendURL


class DjangoBackend(AliasBackend):
    """A `TASKS` alias. `DjangoBackend(url)` gives the adapter of the native backend that the URL names."""

    def __new__(cls, url: BackendURL, *, queues: Sequence[str] = ("default",)) -> Any:
        if url.broker == "db":
            from taskbridge_django_tasks.db import DatabaseBackend

            return DatabaseBackend(url, queues=queues)
        if url.broker == "rq":
            from taskbridge_django_tasks.rq import QueueBackend

            return QueueBackend(url, queues=queues)
        raise ConfigurationError(
            f"{url}: Django tasks on {url.broker!r} are not known. Write django+db://ALIAS or django+rq://ALIAS."
        )
