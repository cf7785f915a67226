"""The real servers that a run needs: started once, shared by the rows, each station in its own empty part."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taskbridge.errors import ConfigurationError, ProcessFailed
from taskbridge.services import start
from taskbridge.services.rabbitmq import RabbitMQServer
from taskbridge_compare.residual import USUAL_QUEUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from taskbridge.services import Kind, Options, Server
    from taskbridge_compare.drivers import Broker

_KINDS: dict[Broker, Kind] = {"redis": "redis", "amqp": "rabbitmq", "postgres": "postgres"}


class Servers:
    """Starts what is needed; what cannot be started is known by its reason, which ends in the command that helps."""

    def __init__(self, folder: Path, options: Mapping[Broker, Options] | None = None) -> None:
        """`options` set up those servers that are started here, and not those given by a URL."""
        self._folder = folder
        self._options = options or {}
        self._servers: dict[Broker, Server] = {}
        self._lock = threading.Lock()
        self._files = 0
        self._threads: list[threading.Thread] = []
        self._ready: queue.SimpleQueue[Broker] = queue.SimpleQueue()
        self.missing: dict[Broker, str] = {}

    def start(self, brokers: Iterable[Broker]) -> None:
        """Start these at the same time, and wait for all."""
        for _ in self.as_they_answer(brokers):
            pass

    def as_they_answer(self, brokers: Iterable[Broker]) -> Iterator[Broker]:
        """Start these at the same time; each is given as soon as it answers, or is `missing`."""
        wanted = list(dict.fromkeys(brokers))
        self._threads = [threading.Thread(target=self._start, args=(broker,)) for broker in wanted]
        for thread in self._threads:
            thread.start()
        return (self._ready.get() for _ in wanted)

    def _start(self, broker: Broker) -> None:
        try:
            if broker in _KINDS:
                self._servers[broker] = start(_KINDS[broker], options=self._options.get(broker))
        except (ConfigurationError, ProcessFailed, KeyError, OSError) as error:
            self.missing[broker] = str(error)
        finally:
            self._ready.put(broker)

    def adopt(self, broker: Broker, server: Server) -> None:
        """Use a server that somebody else has started, and ends."""
        self._servers[broker] = server

    def running(self, broker: Broker) -> Server:
        """The server itself, to kill it and to start it again. Raises KeyError for a broker that is a file."""
        return self._servers[broker]

    def fresh_url(self, broker: Broker) -> str:
        """An empty database, vhost or file that nobody else uses."""
        with self._lock:
            if broker == "sqlite":
                self._files += 1
                return f"sqlite:///{self._folder / f'queue-{self._files}.db'}"
            return self._servers[broker].fresh_url()

    def queues(self, url: str) -> tuple[str, ...]:
        """All queues of a vhost of RabbitMQ; the usual ones, if the server is not ours to ask."""
        server = self._servers.get("amqp")
        if not isinstance(server, RabbitMQServer):
            return USUAL_QUEUES
        host = urlsplit(url).path.lstrip("/")
        names = server.evaluate(f'[element(4, amqqueue:get_name(Q)) || Q <- rabbit_amqqueue:list(<<"{host}">>)].')
        codes = re.findall(r"#Bin<([\d,]*)>", names)
        return tuple(bytes(map(int, filter(None, code.split(",")))).decode() for code in codes)

    def described(self) -> dict[str, dict[str, str]]:
        """Version and origin of each, for the result."""
        return {
            broker: {"version": server.version, "origin": server.origin} for broker, server in self._servers.items()
        }

    def stop(self) -> None:
        """End them all, those too that are just starting."""
        for thread in self._threads:
            thread.join()
        for server in self._servers.values():
            with contextlib.suppress(ProcessFailed):
                server.stop()
