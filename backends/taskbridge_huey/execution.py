"""From a claim to its end: Huey's own execution of the task, and the one step in which the claim is settled."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from huey.exceptions import HueyException
from huey.registry import Message as HueyMessage

from taskbridge.errors import CrashedOut, UndecodableMessage, UnknownTask
from taskbridge.settings.url import DEFAULT_CRASH_BUDGET
from taskbridge_huey.claim import Successor, marked, unmarked
from taskbridge_huey.wire import from_native

if TYPE_CHECKING:
    from huey.api import Huey, Task

    from taskbridge.backend import Run
    from taskbridge.message import Message, Parked
    from taskbridge_huey.claim import Claim, Claims
    from taskbridge_huey.lease import Slot
    from taskbridge_huey.worker_storage import WorkerStorage

logger = logging.getLogger("taskbridge.huey")

NOT_KEPT: Final = timedelta(seconds=10)
"""When it is tried again to park what nobody here can run."""
BATCH: Final = 200
"""How many due jobs are looked at together."""


class Unrunnable(Exception):
    """What lies in the storage is nothing that this worker can run."""

    def __init__(
        self,
        reason: Parked,
        error: Exception,
        message: Message | None = None,
    ) -> None:
        """`message` is the job, where it could be read."""
        super().__init__(reason, error)
        self.reason = reason
        self.error = error
        self.message = message


class Execution:
    """How the workers of one consumer run claims, and its scheduler moves what is due."""

    def __init__(self, huey: Huey, storage: WorkerStorage, queue_name: str, run: Run, /) -> None:
        self._huey = huey
        self._storage = storage
        self._queue_name = queue_name
        self._run = run

    def run(self, claim: Claim, slot: Slot, stop_flag: Any, /) -> None:
        """Run one claim to its end. Never raises an `Exception`."""
        guard = _Guard(self._storage)
        with self._storage.collecting(claim.crashes) as collected:
            try:
                task = self._read(claim.data, claim.crashes)
                guard.stand_before(task)
                self._huey.execute(task)
            except Unrunnable as unrunnable:
                collected.successors = self._park(claim.data, claim.crashes, unrunnable)
            except slot.claims.unavailable as error:
                logger.error("The storage does not answer, so that a job runs again: %s", error)  # noqa: TRY400 - a trace of the library's
                slot.give_back(claim, has_crashed=False)
                return
            except Exception as error:
                if guard.has_begun:
                    logger.exception("Huey could not finish a job after it had run.")
                else:
                    collected.successors = self._park(claim.data, claim.crashes, Unrunnable("undecodable", error))
        if guard.was_interrupted:
            # At a stop it goes back as it was. Else the task did that to its worker itself, which is a crash.
            slot.give_back(claim, has_crashed=not stop_flag.wait(0.5))
        else:
            slot.settle(claim, collected.successors, collected.forgotten)

    def move_due(self, claims: Claims, now: Any = None) -> None:
        """Move what is due from the schedule to the queue, each in one step."""
        now = now or self._huey._get_timestamp()  # noqa: SLF001 - Huey's own kind of time
        while True:
            found = claims.due(now, BATCH)
            for due in found:
                data, crashes = unmarked(due.element)
                with self._storage.collecting() as collected:
                    try:
                        self._huey.enqueue(self._read(data, crashes))
                    except Unrunnable as unrunnable:
                        claims.move(due, self._park(data, crashes, unrunnable))
                        continue
                    except claims.unavailable:
                        raise
                    except Exception as error:  # noqa: BLE001 - Huey's and the application's listeners', over data of any kind
                        claims.move(due, self._park(data, crashes, Unrunnable("undecodable", error)))
                        continue
                marks = [replace(successor, data=marked(successor.data, crashes)) for successor in collected.successors]
                claims.move(due, marks)
            if len(found) < BATCH:
                return

    def _read(self, data: bytes, crashes: int) -> Task:
        try:
            native = self._huey.serializer.deserialize(data)
            if not isinstance(native, HueyMessage):
                raise UndecodableMessage(f"This is no Huey message but {type(native).__name__}.")  # noqa: TRY301 - joins the others
        except Exception as error:
            raise Unrunnable("undecodable", error) from error
        try:
            task = self._huey._registry.create_task(native)  # noqa: SLF001 - Huey's way together with the serializer's, without telling the two errors apart
            if hasattr(task, "crashes"):
                task.message = from_native(native, self._queue_name)
                task.crashes = crashes
        except HueyException as error:
            unknown = UnknownTask(f"No task is called {native.name!r} in this worker: name its module in `imports`.")
            raise Unrunnable("unknown task", unknown, _readable(native, self._queue_name)) from error
        except Exception as error:
            raise Unrunnable("undecodable", error) from error
        if crashes > DEFAULT_CRASH_BUDGET and not hasattr(task, "crashes"):
            crashed = CrashedOut(
                f"{native.name} was not run again: its worker died {crashes} times while it ran. It is a task "
                f"that only Huey knows, for which the budget is {DEFAULT_CRASH_BUDGET}."
            )
            raise Unrunnable("crashed out", crashed, _readable(native, self._queue_name))
        return task

    def _park(self, data: bytes, crashes: int, unrunnable: Unrunnable) -> list[Successor]:
        kept = self._run.park(
            data,
            queue_name=self._queue_name,
            reason=unrunnable.reason,
            error=unrunnable.error,
            message=unrunnable.message,
        )
        if kept:
            return []
        later = self._huey._get_timestamp() + NOT_KEPT  # noqa: SLF001 - Huey's own kind of time
        return [Successor(marked(data, crashes), due=later)]


def _readable(native: HueyMessage, queue_name: str) -> Message | None:
    try:
        return from_native(native, queue_name)
    except UndecodableMessage:
        return None


class _Guard:
    """Stands around the task's own code, whose doings are not Huey's."""

    def __init__(self, storage: WorkerStorage) -> None:
        self._storage = storage
        self.has_begun = False
        self.was_interrupted = False

    def stand_before(self, task: Task) -> None:
        body = task.execute

        def execute() -> Any:
            self.has_begun = True
            try:
                with self._storage.direct():
                    return body()
            except KeyboardInterrupt:
                self.was_interrupted = True
                raise

        task.execute = execute
