"""The lock file, and messages that were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from taskbridge.errors import ConfigurationError, TaskBridgeError, UndecodableMessage
from taskbridge.signatures.description import Signature

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from taskbridge.registry import Registry

VERSION: Final = 1


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds."""

    version: int
    tasks: dict[str, Signature]


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One message in a file: `taskbridge dead show ID --arguments --json` has the same names."""

    task: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}


def write_lock(path: Path, signatures: Mapping[str, Signature], /) -> None:
    """Write the file, so that equal signatures give equal bytes."""
    text = msgspec.json.encode(Lock(version=VERSION, tasks=dict(signatures)), order="sorted")
    path.write_bytes(msgspec.json.format(text, indent=2) + b"\n")


def read_lock(path: Path, /) -> dict[str, Signature]:
    """What was locked.

    Raises:
        ConfigurationError: there is no such file, or it is none of ours.
    """
    try:
        lock = msgspec.json.decode(path.read_bytes(), type=Lock)
    except FileNotFoundError:
        raise ConfigurationError(f"There is no {path}. Write it first: taskbridge signatures lock") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    if lock.version != VERSION:
        raise ConfigurationError(f"{path} is of version {lock.version}, and this TaskBridge reads {VERSION}.")
    return lock.tasks


def replay(folder: Path, registry: Registry, /) -> Iterator[tuple[Path, str]]:
    """Each recorded message of the folder, and why this code could not run it; empty if it could.

    Raises:
        ConfigurationError: there is no such folder, or no message in it.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise ConfigurationError(f"{folder} holds no recorded message: write one JSON object a file, named *.json.")
    for path in paths:
        yield path, _replayed(path, registry)


def _replayed(path: Path, registry: Registry) -> str:
    try:
        message = msgspec.json.decode(path.read_bytes(), type=Recorded)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"It is no recorded message: {error}"
    task = registry.get(message.task)
    if task is None:
        return f"No task is called {message.task!r}."
    try:
        task.codec.decode(message.args, message.kwargs)
    except (UndecodableMessage, TaskBridgeError) as error:
        return str(error)
    return ""
