"""The store of a backend, for the verbs that do nothing without one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from taskbridge.cli.exits import USAGE
from taskbridge.router import router

if TYPE_CHECKING:
    from taskbridge.store import Store


def store_of(alias: str, /) -> Store:
    """The backend's store; without one this process ends, in words."""
    store = router.store(alias)
    if store is None:
        click.echo(f"The backend {alias!r} has no store: name one in its URL, ?store=redis://...", err=True)
        sys.exit(USAGE)
    return store
