"""A TCP proxy whose connections can be cut: the way of a worker to its broker."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from taskbridge_compare.faults.cut_rules import Rule, Way


class _Link(NamedTuple):
    number: int
    ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]


class CuttingProxy:
    """Forwards a free loopback port to a server; `cut` resets every open connection at once, new ones work again.

    A `rule` sees all bytes before they are forwarded, and can have them dropped with their connection.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="cutting-proxy", daemon=True)
        self._numbers = count()
        self.rule: Rule | None = None
        self.port = 0
        self._thread.start()
        if not self._ready.wait(10):
            raise OSError("the proxy did not start listening within 10 s")

    def cut(self) -> int:
        """Reset all open connections; how many there were."""
        return asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def close(self) -> None:
        """Stop listening and end every connection."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            self._loop.run_until_complete(self._end())
            self._loop.close()

    async def _end(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _cut(self) -> int:
        cut = len(self._writers) // 2
        for writer in list(self._writers):
            writer.transport.abort()
        return cut

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        finally:
            self._tasks.discard(task)
        self._tasks.add(task)
        self._writers |= {writer, up_writer}
        try:
            link = _Link(next(self._numbers), (writer, up_writer))
            await asyncio.gather(
                self._pump(reader, up_writer, link, "to server"), self._pump(up_reader, writer, link, "to client")
            )
        except asyncio.CancelledError:
            pass  # `_end` has; the stream's own callback would print it as an error
        finally:
            self._writers -= {writer, up_writer}
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, way: Way) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.rule is not None and self.rule.drops(link.number, way, data):
                    for end in link.ends:
                        end.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()
