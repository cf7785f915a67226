"""A TaskBridge backend: jobs are files in a folder.

Queues: a subfolder each; a job is its message in JSON, in a file whose name sorts by priority, then by due time.
Switched off: nothing, since no engine lies below.
Settled: done removes the file, a retry writes the next attempt first, a dead job moves to the subfolder `dead`.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import unquote

import msgspec

from taskbridge import worker
from taskbridge.backend import Backend, Run, WorkerOptions
from taskbridge.capability import Capabilities, emulated, native, refused
from taskbridge.errors import EnqueueError
from taskbridge.message import Again, Cancelled, Dead, Done, Expired, Headers, Message, Skipped
from taskbridge.process import Command
from taskbridge.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge.registry import Registry
    from taskbridge.settings import BackendURL


class FolderBackend(Backend):
    """`folder:///./jobs` is a folder below the working directory, `folder:////var/jobs` an absolute one."""

    engine: ClassVar[str] = "folder"
    brokers: ClassVar[tuple[str, ...]] = ("",)
    url_options: ClassVar[Mapping[str, str]] = {}
    wire_names: ClassVar[Literal["name", "module path"]] = "name"
    capabilities = Capabilities(
        at_least_once=native("the file stays until the job has ended; the lock of a dead worker falls at once"),
        at_most_once=refused("the file stays until the job has ended. Use huey+sqlite, which deletes it first."),
        effectively_once=emulated(worker.EffectivelyOnce, cost=worker.KEY_COST),
        retry=emulated(worker.Retries, cost="one more file written"),
        timeout=emulated(worker.Deadline, cost="a timer for each attempt with a limit"),
        prompt_timeout=native("an attempt has its process's main thread"),
        expires=emulated(worker.Expiry, cost="a comparison before each attempt"),
        run_after=native("the due time is in the file's name"),
        priority=native("the priority is in the file's name"),
        result=emulated(worker.Results, cost="three writes a job to a SQLite file beside the queues"),
        cancel=emulated(worker.Cancellations, cost=worker.CANCEL_COST),
        terminate=emulated(worker.Termination, cost=worker.TERMINATE_COST),
        dead_letters=emulated(worker.DeadLetters, cost="one write to the store for a job that fails for good"),
        context=native("the file holds the whole message"),
    )
    run: Run

    def __init__(self, url: BackendURL, *, queues: Sequence[str] = ("default",)) -> None:  # noqa: ARG002 - every adapter is built so; this one makes a subfolder when it needs it
        self.folder = Path(unquote(url.path.removeprefix("/")))

    def enqueue(self, messages: Sequence[Message], /) -> None:
        try:
            for message in messages:
                write(self.folder / message.queue_name, message)
        except OSError as error:
            raise EnqueueError(f"{self.folder} did not take the job: {error}", maybe_accepted=False) from error

    def serve(self, registry: Registry, run: Run, /) -> None:
        registry.by_wire_name(self)  # refuses two tasks of one name
        self.run = run

    def worker_commands(self, options: WorkerOptions, /) -> Sequence[Command]:
        argv = (sys.executable, "-c", "import taskbridge_folder; taskbridge_folder.main()", *options.native_arguments)
        return [Command(argv=argv, environment=worker.worker_environment(options))] * options.concurrency

    def close(self) -> None:
        """Nothing is held open."""

    def open_store(self) -> Store:
        self.folder.mkdir(parents=True, exist_ok=True)
        return open_store(f"sqlite:///{self.folder.absolute()}/results.db")


def write(queue: Path, message: Message, /) -> None:
    """Put a job into a queue. Written under another name and renamed, it appears whole or not at all."""
    queue.mkdir(parents=True, exist_ok=True)
    due = message.run_after.timestamp() if message.run_after else time.time()
    name = f"{100 - message.priority:03}-{int(due * 1e6):017}-{message.id}"
    with (queue / f"{name}.new").open("wb") as file:
        file.write(msgspec.json.encode(message))
        file.flush()
        os.fsync(file.fileno())
    (queue / f"{name}.new").rename(queue / f"{name}.json")


def run_next(backend: FolderBackend, queue: Path, /) -> bool:
    """Run the first job that is due and that no other worker holds; False if there is none."""
    due = (path for path in sorted(queue.glob("*.json")) if int(path.name.split("-")[1]) <= time.time() * 1e6)
    return any(run_locked(backend, path) for path in due)


def run_locked(backend: FolderBackend, path: Path, /) -> bool:
    """Run one attempt while its file is locked: the kernel takes the lock back when this process dies."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists():  # another worker ended the job between our look and our lock
                return False
            try:
                message = msgspec.json.decode(file.read(), type=Message)
                headers = message.headers or Headers()
                match backend.run(message, attempt=headers.attempt):
                    case Again(delay):
                        headers.attempt += 1
                        message.headers, message.run_after = headers, datetime.now(UTC) + delay
                        write(path.parent, message)
                        path.unlink()
                    case Dead():
                        bury(backend, path)
                    case Done() | Expired() | Skipped() | Cancelled():
                        path.unlink()
            except (msgspec.DecodeError, KeyboardInterrupt):  # no job, or one that raised what Ctrl-C raises
                bury(backend, path)
    except (FileNotFoundError, BlockingIOError):
        return False
    return True


def bury(backend: FolderBackend, path: Path, /) -> None:
    """Keep what failed for good where somebody can look at it."""
    (backend.folder / "dead").mkdir(exist_ok=True)
    path.rename(backend.folder / "dead" / path.name)


def main() -> None:
    """The worker: serve the queues that `taskbridge worker` names, until SIGTERM."""
    booted = worker.boot()
    stopping: list[int] = []
    assert isinstance(booted.backend, FolderBackend)
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    booted.backend.run.start()
    while not stopping:
        ran = [run_next(booted.backend, booted.backend.folder / queue) for queue in booted.queues]
        time.sleep(0 if any(ran) else 0.02)
    booted.backend.run.stop()
