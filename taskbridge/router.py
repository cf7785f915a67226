"""Which backend a job goes to: alias to backend, opened at first use, shared by the threads of a process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, cast

from taskbridge.backend import HasStore
from taskbridge.binding import Binding
from taskbridge.errors import BackendNotInstalled, ConfigurationError, UnknownBackend
from taskbridge.settings import BackendURL, Settings, build, check_options, did_you_mean, load, mask_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge.backend import Backend
    from taskbridge.cancellation import Cancellation
    from taskbridge.settings import BackendSettings
    from taskbridge.store import Store
    from taskbridge.task import Task

GROUP = "taskbridge.backends"

FOR_TESTS = frozenset({"planted"})
"""Adapters that nobody is told of: they are wrong on purpose."""


class Generation:
    """One state of the settings. A binding made under another is made again."""


class Router:
    """The backends and stores of this process."""

    def __init__(self) -> None:
        self.generation = Generation()
        self._lock = threading.RLock()
        self.configured: Settings | None = None
        """What `configure` set, apart from the other sources."""
        self._settings: Settings | None = None
        self._backends: dict[str, Backend] = {}
        self._stores: dict[str, Store | None] = {}

    @property
    def settings(self) -> Settings:
        """The settings in force, read at first use."""
        with self._lock:
            if self._settings is None:
                self._settings = load(self.configured)
            return self._settings

    def configure(self, settings: Settings | None, /) -> None:
        """Put other settings in force; None forgets what `configure` set. Open backends are closed."""
        with self._lock:
            self.close()
            self.configured = settings
            self._settings = None
            self.generation = Generation()

    def close(self) -> None:
        """Close every backend and store that this process opened."""
        with self._lock:
            for backend in self._backends.values():
                backend.close()
            for store in self._stores.values():
                if store is not None:
                    store.close()
            self._backends.clear()
            self._stores.clear()
            self.generation = Generation()

    def backend_settings(self, alias: str, /) -> BackendSettings:
        """The settings of one alias.

        Raises:
            UnknownBackend: no such alias.
        """
        found = self.settings.backends.get(alias)
        if found is None:
            raise UnknownBackend(f"No backend is called {alias!r}.{did_you_mean(alias, self.settings.backends)}")
        return found

    def backend(self, alias: str = "default", /) -> Backend:
        """The backend under this alias, opened if need be."""
        with self._lock:
            if alias not in self._backends:
                self._backends[alias] = open_backend(self.backend_settings(alias))
            return self._backends[alias]

    def store(self, alias: str = "default", /) -> Store | None:
        """Where the results of this alias are kept; None if neither its broker nor `?store=` gives a place."""
        with self._lock:
            if alias not in self._stores:
                self._stores[alias] = self._open_store(alias)
            return self._stores[alias]

    def _open_store(self, alias: str) -> Store | None:
        from taskbridge.store import open_store

        target = self.backend_settings(alias).target
        url = target if isinstance(target, BackendURL) else None
        if url is not None and url.store is not None:
            return open_store(url.store)
        backend = self.backend(alias)
        return backend.open_store() if isinstance(backend, HasStore) else None

    def cancel(self, job_id: str, alias: str = "default", /, *, terminate: bool = False) -> Cancellation:
        """Cancel one job of this alias; what came of it. It may be repeated.

        `terminate` ends an attempt that runs, if its task is `cancellable`.

        Raises:
            UnsupportedFeature: the backend's workers end no running attempt.
            StoreUnavailable: the store did not answer.
            EnqueueError: the broker did not answer.
        """
        from taskbridge.cancellation import cancel

        ttl = self.backend_settings(alias).result_ttl
        backend, store = self.backend(alias), self.store(alias)
        return cancel(job_id, alias, backend=backend, store=store, ttl=ttl, terminate=terminate)

    def bind(self, task: Task[Any, Any, Any], /) -> Binding[Any]:
        """Let a task meet its backend: every capability refusal happens here, before any I/O."""
        alias = task.options.backend
        with self._lock:
            return Binding(
                task=task,
                alias=alias,
                backend=self.backend(alias),
                settings=self.backend_settings(alias),
                open_store=lambda: self.store(alias),
                has_outbox=self._has_outbox,
                generation=self.generation,
                signing_keys=self.settings.signing_keys,
            )

    def _has_outbox(self) -> bool:
        """Whether somebody relays what is written into an outbox."""
        from taskbridge.outbox import databases

        return bool(databases.urls(self.settings))


def open_backend(settings: BackendSettings, /) -> Backend:
    """The adapter for a URL, or the backend object that the application gave.

    Raises:
        UnknownBackend: no adapter has this scheme.
        BackendNotInstalled: the adapter's engine is missing; the message ends in the command that installs it.
    """
    url = settings.target
    if not isinstance(url, BackendURL):
        return cast("Backend", url)
    adapter = find_adapter(url)
    if url.broker not in adapter.brokers:
        schemes = [f"{url.engine}+{broker}" if broker else url.engine for broker in adapter.brokers]
        raise UnknownBackend(f"{url}: {url.engine} does not run on {url.broker!r}. Known: {', '.join(schemes)}.")
    check_options(url, adapter.url_options)
    backend: Backend = adapter(url, queues=settings.queues)
    return backend


def find_adapter(url: BackendURL, /) -> Any:
    """The adapter class that registered the engine of this URL."""
    from importlib.metadata import entry_points  # costs 20 ms, and a producer with one backend needs it once

    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    entry = found.get(url.engine)
    if entry is None:
        hint = did_you_mean(url.engine, found.keys() - FOR_TESTS)
        raise UnknownBackend(f"{url}: no adapter is called {url.engine!r}.{hint}")
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        raise BackendNotInstalled(
            f"{url} needs {error.name!r}, which is not installed: pip install 'taskbridge[{url.engine}]'"
        ) from error


router = Router()
"""The process's own."""


def configure(
    url: str | None = None,
    *,
    backends: Mapping[str, Any] | None = None,
    queues: Sequence[str] = (),
    imports: Sequence[str] = (),
    outbox: Sequence[str] = (),
    periodic: Mapping[str, Mapping[str, Any]] | None = None,
    signing_keys: Sequence[str] = (),
    unsigned: Literal["accept", "refuse"] = "refuse",
) -> None:
    """Set the backends of this process; it wins over the environment and `pyproject.toml`.

    Args:
        url: the URL of the backend `default`.
        backends: alias to URL, to a table with `url` and `queues`, or to a backend object built around an app, broker
            or connection of yours.
        queues: the queues that may be named, where a backend names none of its own. Default: `default`.
        imports: modules that declare tasks.
        outbox: URLs of the databases of the application whose outboxes are relayed: sqlite:///./app.db,
            postgresql://..., or django://ALIAS. Under Django its own is known.
        periodic: schedules by name, each a table as in `[tool.taskbridge.periodic]`.
        signing_keys: `name:secret` of each key; the first signs what is enqueued, and a worker runs what any of them
            signed. Better in the environment, as TASKBRIDGE_SIGNING_KEYS.
        unsigned: what a worker with keys does with messages that carry no signature at all.

    Raises:
        ConfigurationError: what is set cannot be read. Nothing is opened yet.
    """
    if url is not None and not isinstance(url, str):
        raise ConfigurationError(f"configure(url={mask_url(str(url))!r}): the URL must be a string.")
    data = {
        "url": url,
        "backends": dict(backends or {}),
        "queues": tuple(queues),
        "imports": tuple(imports),
        "outbox": tuple(outbox),
        "periodic": dict(periodic or {}),
    }
    if signing_keys:
        data |= {"signing_keys": tuple(signing_keys), "unsigned": unsigned}
    router.configure(build({key: value for key, value in data.items() if value}, origin="configure()"))
