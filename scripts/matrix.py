"""Write docs/matrix.md from the capability records of all backends, and from the options of their URLs.

    .venv/bin/python scripts/matrix.py [--check]

A record needs no server: each backend is built from a URL where none answers. Every engine must be installed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import django
from django.conf import settings

from taskbridge.errors import ConfigurationError
from taskbridge.router import GROUP, open_backend
from taskbridge.settings import BackendSettings, parse_url
from taskbridge.settings.url import CORE_OPTIONS

if TYPE_CHECKING:
    from taskbridge.capability import Capabilities, Support

PAGE = Path(__file__).resolve().parent.parent / "docs" / "matrix.md"
SAME_RECORD = {"rediss", "amqps"}  # the same servers behind TLS
NOT_FOR_USERS = {"planted"}
LIFTED_BY = {"priority": ("priority=10", "priority=yes"), "result": ("store=redis://localhost",)}
"""Queries that make some backends hold an option which they refuse without."""

HEAD = """\
# What each backend holds

<!-- Written by `make pages` from the records of the adapters. Edit those, not this. -->

**native**: the engine does it. **emulated**: TaskBridge does it, at the cost named below. **refused**: a task that asks
for it is refused when it meets the backend, before any I/O, with the reason below. A time is the longest that is
accepted, unless what is longer waits in the store. A query such as `?priority=10` is what the URL must say; without it
the option is refused. [Options](options.md) says what each one means.
"""
QUERIES = """\
## What a URL may say

After the `?`, for every backend:
"""
NATIVE_WORKERS = """\
## With `?workers=native`

What is left when the workers are not started by TaskBridge. Huey needs
`?workers=native&serializer=pickle`. A backend that is not listed has no such mode yet.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/matrix.md from the backends' records.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page would change")
    is_check = parser.parse_args().check
    configure_django()
    text = page()
    if is_check and (not PAGE.exists() or PAGE.read_text() != text):
        sys.stderr.write("docs/matrix.md does not match the backends' records: run `make pages`\n")
        return 1
    if not is_check:
        PAGE.write_text(text)
    return 0


def page() -> str:
    urls = dict(found())
    ours = {scheme: record(url) for scheme, url in urls.items()}
    native = {scheme: native_record(url) for scheme, url in urls.items()}
    native = {scheme: theirs for scheme, theirs in native.items() if theirs != ours[scheme]}
    parts = [HEAD, table(ours, urls), *notes(ours), NATIVE_WORKERS, table(native, {}), QUERIES, *queries()]
    return "\n".join(parts).rstrip("\n") + "\n"


def adapters() -> list[EntryPoint]:
    """Ours, by name, the one for tests last; what others have installed here is not."""
    ours = [
        entry
        for entry in entry_points(group=GROUP)
        if entry.dist is not None and entry.dist.name == "taskbridge" and entry.name not in NOT_FOR_USERS
    ]
    return sorted(ours, key=lambda entry: (entry.name == "memory", entry.name))


def found() -> Iterator[tuple[str, str]]:
    """Scheme and URL of every backend that is registered."""
    for entry in adapters():
        for broker in entry.load().brokers:
            if broker not in SAME_RECORD:
                scheme = f"{entry.name}+{broker}" if broker else entry.name
                yield scheme, f"{scheme}://{place(entry.name, broker)}"


def queries() -> Iterator[str]:
    """The keys of the core, then those of each engine that has any."""
    yield keys(CORE_OPTIONS)
    for entry in adapters():
        known = entry.load().url_options
        if known:
            yield f"For {entry.name}:\n"
            yield keys(known)


def keys(known: Mapping[str, str]) -> str:
    return "\n".join(item(f"`{key}`: {text}.") for key, text in sorted(known.items())) + "\n"


def place(engine: str, broker: str) -> str:
    if engine == "django":
        return broker  # the alias below
    return {"sqlite": "/./queue.db", "": ""}.get(broker, "localhost")


def record(url: str, query: str = "") -> Capabilities:
    target = parse_url(f"{url}?{query}" if query else url)
    return open_backend(BackendSettings(target=target, queues=("default",))).capabilities


def native_record(url: str) -> Capabilities:
    try:
        return record(url, "workers=native")
    except ConfigurationError:  # its own workers read pickles alone
        return record(url, "workers=native&serializer=pickle")


def table(records: Mapping[str, Capabilities], urls: Mapping[str, str]) -> str:
    options = [option for option, _ in next(iter(records.values()))]
    rows = [["option", *records], ["---"] * (len(records) + 1)]
    for option in options:
        cells = [cell(getattr(of, option), option, urls.get(scheme)) for scheme, of in records.items()]
        rows.append([f"`{option}`", *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def cell(support: Support, option: str, url: str | None) -> str:
    if support.ceiling is not None:
        longest = f"{support.level}, {duration(support.ceiling)}"
        return longest if support.beyond is None else f"{longest}, then in the store"
    if support.is_refused and url is not None:
        for query in LIFTED_BY.get(option, ()):
            if is_lifted(url, query, option):
                return f"`?{query}`" if option == "priority" else f"`?{query.partition('=')[0]}=`"
    return support.level


def is_lifted(url: str, query: str, option: str) -> bool:
    try:
        lifted: Support = getattr(record(url, query), option)
    except ConfigurationError:  # another backend's spelling of the query
        return False
    return not lifted.is_refused


def notes(records: Mapping[str, Capabilities]) -> Iterator[str]:
    """For each option, what each record says; backends that say the same stand together."""
    for option, _ in next(iter(records.values())):
        said: dict[Support, list[str]] = {}
        for scheme, capabilities in records.items():
            said.setdefault(getattr(capabilities, option), []).append(scheme)
        lines = [item(f"{', '.join(schemes)}: {of.level}. {sentence(of.note)}") for of, schemes in said.items()]
        yield "\n".join([f"## `{option}`", "", *lines, ""])


def item(text: str) -> str:
    return fill(text, 120, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def sentence(note: str) -> str:
    return note[:1].upper() + note[1:].removesuffix(".") + "."


def duration(value: timedelta) -> str:
    minutes = value // timedelta(minutes=1)
    return f"{minutes // 1440} days" if minutes >= 2 * 1440 else f"{minutes} min"


def configure_django() -> None:
    settings.configure(
        INSTALLED_APPS=[*(["django_tasks"] if django.VERSION < (6, 0) else []), "django_tasks_db", "django_rq"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        RQ_QUEUES={"default": {"URL": "redis://localhost"}},
        TASKS={"db": {"BACKEND": "django_tasks_db.DatabaseBackend"}, "rq": {"BACKEND": "django_tasks_rq.RQBackend"}},
    )
    django.setup()


if __name__ == "__main__":
    sys.exit(main())
