"""Overrides of private pieces of Django, each alone, with its reason."""

from __future__ import annotations

import os
from typing import Any

from django.db import connections

_is_registered = False
_inherited: list[Any] = []


def forget_connections_after_fork() -> None:
    """Give a child of `os.fork()` its own database connections.

    Django leaves that to the caller (https://code.djangoproject.com/ticket/20562), and a child that uses the parent's
    breaks both. The inherited ones are dropped, not closed: closing would say goodbye to the server in the parent's
    name. A SQLite database in memory is its connection, and stays.
    """
    global _is_registered
    if not _is_registered:
        _is_registered = True
        os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    for wrapper in connections.all(initialized_only=True):
        if wrapper.vendor == "sqlite" and wrapper.is_in_memory_db():
            continue
        _inherited.append(wrapper.connection)
        wrapper.connection = None
