"""`engine+broker://user:password@host:port/path?key=value`: one string that names a backend."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast, get_args
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from taskbridge.errors import ConfigurationError
from taskbridge.settings.sentinel import SECRET, check_sentinel
from taskbridge.settings.suggestion import did_you_mean
from taskbridge.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CORE_OPTIONS = {
    "store": "URL of the store of results and dead letters, where the broker's own server shall not hold them",
    "timing": "on_commit or outbox: when a job goes to the broker, unless its task says; now by default",
    "strict": "yes: refuse what TaskBridge would have to emulate",
    "workers": "native: the workers are not run by TaskBridge",
    "result_ttl": "seconds that a result is kept after its job has ended; a day by default",
    "dead_ttl": "seconds that a dead letter is kept; 30 days by default",
    "crash_budget": "how often a job whose worker died is run again before it is a dead letter; 3 by default",
    "deploy_window": "seconds for which what no task could be given is run again once a worker can; a day, 0 for never",
    "size_limit": "largest arguments of one job, in bytes of JSON",
}
"""Query keys that the core reads, for every backend."""

DEFAULT_RESULT_TTL_SECONDS = 24 * 60 * 60
DEFAULT_DEAD_TTL_SECONDS = 30 * 24 * 60 * 60
DEFAULT_DEPLOY_WINDOW_SECONDS = 24 * 60 * 60
DEFAULT_CRASH_BUDGET = 3
DEFAULT_SIZE_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BackendURL:
    """A parsed URL. Its text and repr hide the password and what may be secret in the query."""

    engine: str
    broker: str
    username: str | None = None
    password: str | None = None
    host: str | None = None
    port: int | None = None
    more_hosts: tuple[tuple[str, int | None], ...] = ()
    """Host and port of each Sentinel after the first."""
    path: str = ""
    """As written, percent-encoded, with its leading slash."""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        return f"{self.engine}+{self.broker}" if self.broker else self.engine

    @property
    def store(self) -> str | None:
        return self.options.get("store")

    @property
    def is_strict(self) -> bool:
        return self.flag("strict")

    @property
    def has_native_workers(self) -> bool:
        return self.choice("workers", ("taskbridge", "native"), "taskbridge") == "native"

    @property
    def timing(self) -> Timing:
        return cast(Timing, self.choice("timing", get_args(Timing), "now"))

    @property
    def size_limit(self) -> int:
        return self.number("size_limit", DEFAULT_SIZE_LIMIT)

    @property
    def crash_budget(self) -> int:
        return self.number("crash_budget", DEFAULT_CRASH_BUDGET)

    @property
    def result_ttl(self) -> timedelta:
        return timedelta(seconds=self.number("result_ttl", DEFAULT_RESULT_TTL_SECONDS))

    @property
    def dead_ttl(self) -> timedelta:
        return timedelta(seconds=self.number("dead_ttl", DEFAULT_DEAD_TTL_SECONDS))

    @property
    def deploy_window(self) -> timedelta:
        return timedelta(seconds=self.number("deploy_window", DEFAULT_DEPLOY_WINDOW_SECONDS))

    def flag(self, key: str) -> bool:
        return self.choice(key, ("yes", "no"), "no") == "yes"

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        """The option's value, if it is one of those allowed."""
        value = self.options.get(key, default)
        if value not in allowed:
            raise ConfigurationError(f"{self}: {key}={value} is not known. Write one of: {', '.join(allowed)}.")
        return value

    def number(self, key: str, default: int) -> int:
        """The option's value as a whole number that is not negative."""
        value = self.options.get(key)
        if value is None:
            return default
        if not value.isdecimal():
            raise ConfigurationError(f"{self}: {key}={value} is not a whole number. Write for example {key}={default}.")
        return int(value)

    def server(self, scheme: str | None = None, *, options: Iterable[str] = ()) -> str:
        """The URL of the broker alone, password included, for a client library."""
        query = urlencode({key: self.options[key] for key in options if key in self.options})
        return f"{scheme or self.broker}://{self._authority(self.password)}{self.path}" + (f"?{query}" if query else "")

    def full(self) -> str:
        """The whole URL, password included. It belongs in an environment, never in argv or a log."""
        query = urlencode(self.options)
        return f"{self.scheme}://{self._authority(self.password)}{self.path}" + (f"?{query}" if query else "")

    def with_options(self, **options: str) -> BackendURL:
        """A copy with these query keys set."""
        return replace(self, options={**self.options, **options})

    def _authority(self, password: str | None) -> str:
        user = quote(self.username, safe="") if self.username else ""
        secret = f":{quote(password, safe='')}" if password else ""
        at = "@" if user or secret else ""
        hosts = ",".join(_place(host, port) for host, port in ((self.host, self.port), *self.more_hosts))
        return f"{user}{secret}{at}{hosts}"

    def __str__(self) -> str:
        secret = "***" if self.password else None
        user = quote(self.username, safe="") if self.username else ""
        authority = self._authority(None).removeprefix(f"{user}@")
        at = f"{user}{':***' if secret else ''}@" if user or secret else ""
        shown = {key: "***" if key == SECRET else mask_url(value) for key, value in self.options.items()}
        query = urlencode(shown, safe="*:/@+,")
        return f"{self.scheme}://{at}{authority}{self.path}" + (f"?{query}" if query else "")

    def __repr__(self) -> str:
        return f"BackendURL({str(self)!r})"


_PASSWORD = re.compile(r"(://[^:/?#@]*):.*@")
_ENCODED_PASSWORD = re.compile(r"(%3A%2F%2F(?:(?!%3A|%2F|%40)[^&\s])*%3A)[^&\s]*%40", re.IGNORECASE)
_QUERY_PASSWORD = re.compile(rf"({SECRET}(?:=|%3D)).*?(?=&|%26|\s|$)", re.IGNORECASE)


def mask_url(text: str, /) -> str:
    """The text with the passwords of URLs in it replaced, even where it is no proper URL."""
    text = _ENCODED_PASSWORD.sub(r"\1***%40", _PASSWORD.sub(r"\1:***@", text))
    return _QUERY_PASSWORD.sub(r"\1***", text)


def _place(host: str | None, port: int | None) -> str:
    name = f"[{host}]" if host and ":" in host else host or ""
    return name if port is None else f"{name}:{port}"


def parse_url(text: str, /) -> BackendURL:
    """Read a backend URL.

    Raises:
        ConfigurationError: the text is no such URL. The message never shows a password.
    """
    shown = mask_url(text) if "://" in text else text.split("@")[-1]
    scheme, separator, _ = text.partition("://")
    if not separator:
        raise ConfigurationError(
            f"{shown!r} is not a backend URL. Write engine+broker://..., for example rq+redis://localhost:6379/0."
        )
    engine, _, broker = scheme.partition("+")
    if "_" in scheme:
        raise ConfigurationError(f"{shown!r}: a scheme has no underscore. Write for example django+db://default.")
    if not engine.isalnum() or (broker and not broker.isalnum()):
        raise ConfigurationError(f"{shown!r}: {scheme!r} is not engine+broker. Write for example rq+redis://localhost.")
    login, at, hosts = _AUTHORITY.findall(text)[0].rpartition("@")
    first, *more = hosts.split(",")
    try:
        parts = urlsplit(_AUTHORITY.sub(lambda _: f"{login}{at}{first}", text, count=1))
        port = parts.port
        others = [urlsplit(f"//{host}") for host in more]
        more_hosts = tuple((other.hostname or "", other.port) for other in others)
    except ValueError as error:
        raise ConfigurationError(f"{shown!r}: the host, or its port from 0 to 65535, cannot be read.") from error
    if parts.fragment:
        raise ConfigurationError(f"{shown!r} ends in a fragment: encode '#' in a password or path as %23.")
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise ConfigurationError(f"{shown!r}: the query is not key=value&key=value.") from error
    doubled = {key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1}
    if doubled:
        raise ConfigurationError(f"{shown!r} gives {', '.join(sorted(doubled))} twice.")
    url = BackendURL(
        engine=engine,
        broker=broker,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        host=parts.hostname,
        port=port,
        more_hosts=more_hosts,
        path=parts.path,
        options=dict(pairs),
    )
    check_sentinel(shown, broker or engine, [url.host, *(host for host, _ in more_hosts)], url.options)
    return url


_AUTHORITY = re.compile(r"(?<=://)[^/?#]*")


def check_options(url: BackendURL, known: Mapping[str, str], /) -> None:
    """Refuse a query key that neither the core nor the adapter reads.

    Raises:
        ConfigurationError: it names the nearest known key.
    """
    for key in url.options:
        if key not in CORE_OPTIONS and key not in known:
            allowed = sorted({*CORE_OPTIONS, *known})
            raise ConfigurationError(f"{url}: unknown option {key!r}.{did_you_mean(key, allowed)}")
