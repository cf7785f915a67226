"""The one model behind the three spellings: `configure(...)`, the environment and `[tool.taskbridge]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from taskbridge.errors import ConfigurationError
from taskbridge.settings.suggestion import did_you_mean
from taskbridge.settings.url import BackendURL, parse_url
from taskbridge.signing import KeyRing

if TYPE_CHECKING:
    from datetime import timedelta

    from taskbridge.message import Message
    from taskbridge.timing import Timing

DEFAULT = "default"


class Built(Protocol):
    """A `taskbridge.backend.Backend` that the application built around its own app, broker or connection."""

    def enqueue(self, messages: Sequence[Message], /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """One alias: where its jobs go."""

    target: BackendURL | Built
    queues: tuple[str, ...] = ()
    """The queues that may be named; any other is refused. Empty: those of the settings as a whole."""
    any_queue: bool = False
    """Whether a job may name a queue that is not among them, as Django's `QUEUES: []` has it."""
    origin: str = "configure()"
    """Which spelling set it, for `taskbridge check`."""

    @property
    def result_ttl(self) -> timedelta:
        """How long a result is kept after its job has ended."""
        return self._url.result_ttl

    @property
    def dead_ttl(self) -> timedelta:
        """How long a dead letter is kept."""
        return self._url.dead_ttl

    @property
    def deploy_window(self) -> timedelta:
        """For how long what older code could not run is enqueued again once newer code can."""
        return self._url.deploy_window

    @property
    def crash_budget(self) -> int:
        """How often a job whose worker died is run again."""
        return self._url.crash_budget

    @property
    def timing(self) -> Timing:
        """When a job goes to the broker, unless its task or call says."""
        return self._url.timing

    @property
    def _url(self) -> BackendURL:
        return self.target if isinstance(self.target, BackendURL) else BackendURL(engine="", broker="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process."""

    backends: Mapping[str, BackendSettings] = field(default_factory=dict)
    queues: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    """Modules that declare tasks; a worker imports them."""
    outbox: tuple[str, ...] = field(default=(), repr=False)
    """URLs of the application's databases whose outboxes are relayed; passwords included."""
    periodic: Mapping[str, Any] = field(default_factory=dict)
    """Schedules by name, as they were written: they name tasks, which are not imported yet."""
    signing_keys: KeyRing | None = None
    """None: messages are neither signed nor checked."""


def words(value: object, key: str, origin: str) -> tuple[str, ...]:
    """A list of names, or one string with commas."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    if isinstance(value, Sequence) and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise ConfigurationError(f"{origin}: {key} must be a list of names, not {value!r}.")


def build(data: Mapping[str, Any], /, *, origin: str) -> Settings:
    """Settings from plain data of any spelling.

    Raises:
        ConfigurationError: an unknown key, with a suggestion, or a value of the wrong kind.
    """
    _refuse_unknown(
        data, ("url", "backends", "queues", "imports", "outbox", "periodic", "signing_keys", "unsigned"), origin
    )
    periodic = data.get("periodic", {})
    if not isinstance(periodic, Mapping):
        raise ConfigurationError(f"{origin}: periodic must be a table of schedules by name, not {periodic!r:.200}.")
    tables = data.get("backends", {})
    if not isinstance(tables, Mapping):
        raise ConfigurationError(f"{origin}: backends must be a table of alias to URL, not {tables!r}.")
    backends = {alias: _backend(alias, value, origin) for alias, value in tables.items()}
    if data.get("url") is not None:
        if DEFAULT in backends:
            raise ConfigurationError(f"{origin} sets both url and backends.default. Keep one.")
        backends[DEFAULT] = _backend(DEFAULT, data["url"], origin)
    return Settings(
        backends=backends,
        queues=words(data.get("queues", ()), "queues", origin),
        imports=words(data.get("imports", ()), "imports", origin),
        outbox=words(data.get("outbox", ()), "outbox", origin),
        periodic=dict(periodic),
        signing_keys=_signing_keys(data, origin),
    )


def _signing_keys(data: Mapping[str, Any], origin: str) -> KeyRing | None:
    unsigned = data.get("unsigned", "refuse")
    if unsigned not in ("accept", "refuse"):
        raise ConfigurationError(f"{origin}: unsigned={unsigned!r} is not known. Write accept or refuse.")
    keys = data.get("signing_keys", ())
    if not isinstance(keys, str | Sequence) or not all(isinstance(key, str) for key in keys):
        raise ConfigurationError(f"{origin}: signing_keys must be a list of name:secret.")
    return KeyRing.of(words(keys, "signing_keys", origin), accepts_unsigned=unsigned == "accept", origin=origin)


def _backend(alias: str, value: Any, origin: str) -> BackendSettings:
    queues: tuple[str, ...] = ()
    if isinstance(value, Mapping):
        _refuse_unknown(value, ("url", "queues"), f"{origin}, backend {alias!r}")
        if "url" not in value:
            raise ConfigurationError(f"{origin}: backend {alias!r} has no url.")
        queues = words(value.get("queues", ()), "queues", origin)
        value = value["url"]
    if isinstance(value, str):
        return BackendSettings(target=parse_url(value), queues=queues, origin=origin)
    if isinstance(value, BackendURL) or hasattr(value, "enqueue"):
        return BackendSettings(target=value, queues=queues, origin=origin)
    raise ConfigurationError(f"{origin}: backend {alias!r} must be a URL or a backend object, not {value!r}.")


def _refuse_unknown(data: Mapping[str, Any], known: tuple[str, ...], origin: str) -> None:
    for key in data:
        if key not in known:
            raise ConfigurationError(f"{origin}: unknown setting {key!r}.{did_you_mean(str(key), known)}")
