"""What every server that we may use has in common, and the ones that we started ourselves."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from taskbridge.errors import ConfigurationError, ProcessFailed
from taskbridge.process import Command, GuardedFolder, Identity, Process, free_port

if TYPE_CHECKING:
    from datetime import timedelta

    from taskbridge.services.installation import Installation
    from taskbridge.services.kind import Kind

_PORT_ATTEMPTS = 3
_SHARED_FOLDERS = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - a folder of our own is made there, closed to others


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a private server is set up. None is the kind's own default; what a kind does not have is refused."""

    persistent: bool | None = None
    """Redis: keep data over a kill (append-only file, synced each second). Default: nothing on disk."""
    fsync: bool | None = None
    """PostgreSQL: wait for the disk at each commit. Default: yes."""
    password: str | None = None
    """Default: none is needed; the server listens on loopback only."""
    consumer_timeout: timedelta | None = None
    """RabbitMQ: how long a consumer may hold a message without an acknowledgement. Default: RabbitMQ's, 30 minutes."""

    def refuse_all_but(self, accepted: frozenset[str], *, kind: Kind) -> None:
        """Raise ConfigurationError if an option is set that this kind of server does not have."""
        for field in fields(self):
            if getattr(self, field.name) is not None and field.name not in accepted:
                known = ", ".join(sorted(accepted)) or "none"
                raise ConfigurationError(f"{kind} has no option {field.name}; its options here: {known}")


class Server(ABC):
    """A running server. A context manager that stops it at the end."""

    kind: Kind
    url: str
    version: str
    origin: str
    """Where the program came from: `url`, `system`, `apt`, `wheel NAME VERSION`, `debs`."""
    directory: Path | None = None
    """Its configuration, data and log; None if we did not start it."""

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """The server's process; None if we did not start it, or it does not run."""

    @abstractmethod
    def fresh_url(self) -> str:
        """The URL of an empty part of this server (Redis database, vhost, PostgreSQL database), given out once."""

    @abstractmethod
    def stop(self) -> None:
        """End the server and remove its folder; what we did not start is only left as we found it."""

    @abstractmethod
    def kill(self) -> None:
        """SIGKILL, data kept. Raises ConfigurationError for a server that we did not start."""

    @abstractmethod
    def restart(self) -> None:
        """Start again on the same port and data, after a SIGKILL if it still runs. Errors as for `kill`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.version} from {self.origin}, pid {self.pid}>"


class PrivateServer(Server):
    """A server that we start: loopback, free port, temporary folder."""

    accepts: ClassVar[frozenset[str]]
    ready_within: ClassVar[timedelta]
    taken: ClassVar[str]
    """What its log says when somebody was faster to take the port."""
    before_removal: ClassVar[str] = ""
    """Shell that releases what the folder ($1) names outside of itself."""

    def __init__(self, installation: Installation, options: Options) -> None:
        """Starts and waits until it answers. Raises ProcessFailed, with the end of its log, if it does not."""
        options.refuse_all_but(self.accepts, kind=self.kind)
        self.installation = installation
        self.options = options
        self.origin = installation.origin
        self.version = "unknown"
        self._process: Process | None = None
        self._folder = GuardedFolder(
            prefix=f"taskbridge-{self.kind}-", before_removal=self.before_removal, below=self._reachable_folder()
        )
        self.directory: Path = self._folder.path
        try:
            self._start_on_a_free_port()
            self.version = self.read_version()
        except BaseException:
            self.stop()
            raise

    def _reachable_folder(self) -> Path | None:
        """Where another user than ours may enter, if the server is to be one; None: the usual folder will do."""
        identity = self.identity()
        if identity is None or identity.may_enter(Path(tempfile.gettempdir())):
            return None
        return next((folder for folder in _SHARED_FOLDERS if folder.is_dir() and identity.may_enter(folder)), None)

    def _start_on_a_free_port(self) -> None:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = free_port()
            self.prepare()
            try:
                self._start()
            except ProcessFailed as failure:
                if attempt == _PORT_ATTEMPTS or self.taken not in str(failure):
                    raise
            else:
                return

    def _start(self) -> None:
        process = Process(self.command(), log=self.directory / "server.log", identity=self.identity())
        self._process = process
        try:
            process.wait_until(self.answers, within=self.ready_within)
        except BaseException:
            process.kill_tree()
            raise

    @abstractmethod
    def prepare(self) -> None:
        """Write configuration and data directory for `self.port` into `self.directory`."""

    @abstractmethod
    def command(self) -> Command:
        """The native command line; secrets in files of the private folder."""

    @abstractmethod
    def answers(self) -> bool:
        """True once the server takes clients."""

    @abstractmethod
    def read_version(self) -> str:
        """The running server's own word for its version."""

    def identity(self) -> Identity | None:
        """The user to run as, if not ours."""
        return None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.running else None

    @property
    def process(self) -> Process:
        """The process below, for signals and for its tree."""
        assert self._process is not None
        return self._process

    def stop(self) -> None:
        # Without a warm stop: the data go with the folder.
        if self._process is not None:
            self._process.kill_tree()
        self._folder.remove()

    def kill(self) -> None:
        self.process.kill_tree()

    def restart(self) -> None:
        self.kill()
        self._start()
