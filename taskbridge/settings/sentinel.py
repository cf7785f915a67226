"""What a URL says of Redis behind Sentinel: its hosts are the Sentinels, and its query names the master."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskbridge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECRET: Final = "sentinel_password"  # noqa: S105 - the name of the option, not its value

SENTINEL_OPTIONS: Final[Mapping[str, str]] = {
    "sentinel": "Redis: name of the master, where the URL's hosts (`a:26379,b:26379`) are the Sentinels that watch it",
    "sentinel_username": "Redis: the user that the Sentinels ask for, if they do",
    SECRET: "Redis: the password that the Sentinels ask for; the master's own stands before the hosts",
}
"""Query keys that each adapter for Redis reads."""


def check_sentinel(shown: str, broker: str, hosts: Sequence[str | None], options: Mapping[str, str], /) -> None:
    """Refuse a URL of which part is for Sentinel, and part is not.

    Raises:
        ConfigurationError: it shows the URL as `shown`.
    """
    asked = [key for key in SENTINEL_OPTIONS if key in options]
    if not asked:
        if len(hosts) > 1:
            raise ConfigurationError(
                f"{shown!r} names several hosts. Write one; if they are Redis Sentinels, add ?sentinel= and the name "
                f"of the master that they watch."
            )
        return
    if broker not in ("redis", "rediss"):
        raise ConfigurationError(f"{shown!r}: {asked[0]} is for Redis. Take it out.")
    if not options.get("sentinel"):
        raise ConfigurationError(f"{shown!r}: name the master that the Sentinels watch: ?sentinel=mymaster.")
    if not all(hosts):
        raise ConfigurationError(f"{shown!r}: write the Sentinels as hosts: {broker}://a:26379,b:26379/0?sentinel=...")
