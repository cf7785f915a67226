"""What `taskbridge services up` has started, so that `down` ends exactly that."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import psutil

from taskbridge.errors import ConfigurationError
from taskbridge.services.cache import cache_folder
from taskbridge.services.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskbridge.services.server import PrivateServer

_SAME_MOMENT = 1.0


class ProcessRecord(msgspec.Struct, frozen=True):
    """A process, told from a later one of the same number by the moment of its start."""

    pid: int
    created: float
    """Seconds since the epoch."""

    @classmethod
    def of(cls, pid: int) -> ProcessRecord:
        """Of a living process. Raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process, if it still lives and is the same."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.created) < _SAME_MOMENT
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class ServerRecord(msgspec.Struct, frozen=True):
    """A server that runs on without us, below a holder process."""

    kind: Kind
    url: str
    version: str
    origin: str
    directory: str
    server: ProcessRecord
    holder: ProcessRecord

    @classmethod
    def of(cls, server: PrivateServer, holder: ProcessRecord) -> ServerRecord:
        """Of a running server."""
        return cls(
            kind=server.kind,
            url=server.url,
            version=server.version,
            origin=server.origin,
            directory=str(server.directory),
            server=ProcessRecord.of(server.process.pid),
            holder=holder,
        )

    @property
    def running(self) -> bool:
        """True while the server that was recorded lives."""
        return self.server.process() is not None


class State(msgspec.Struct):
    """The content of a state file."""

    schema: int = 1
    servers: list[ServerRecord] = []


def default_state_file() -> Path:
    """In the user's cache folder."""
    return cache_folder() / "services.json"


@contextmanager
def open_state(path: Path) -> Iterator[State]:
    """The state, locked against other commands; written back at the end of the block, also after an error.

    Raises ConfigurationError if the file holds something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = read_state(path)
        try:
            yield state
        finally:
            written = path.with_name(path.name + ".new")
            written.touch(mode=0o600)
            written.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
            written.replace(path)


def read_state(path: Path) -> State:
    """The state as it lies there; empty if there is no file. Raises ConfigurationError if it holds something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return State()
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"{path} is no record of servers that TaskBridge started ({error}): name another file with --state"
        ) from error
