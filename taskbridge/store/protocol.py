"""What every store does: small protocols, and the store that offers them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, timedelta

    from taskbridge.message import Message
    from taskbridge.store.key import Key
    from taskbridge.store.lease import Lease
    from taskbridge.store.letter import DeadLetter, Selection
    from taskbridge.store.record import NewRecord, Page, Record
    from taskbridge.store.standing import Standing
    from taskbridge.store.transition import Started, Transition
    from taskbridge.store.waiting import Claimed


class ResultStore(Protocol):
    """Durable records of jobs. Safe to share between threads, and usable in a child after `os.fork()`.

    Every method raises `StoreUnavailable` when the store does not answer within its stated time.
    """

    def queued(self, jobs: Sequence[NewRecord], /) -> None:
        """Record jobs that are about to be sent, in one round trip. An id that is recorded already stays as it is."""

    def record(self, job: NewRecord, transition: Transition, /) -> bool:
        """Write one transition, atomically, in one round trip; a job without a record gets one.

        False: it was refused, since what the record says is newer or final.
        """

    def forget(self, ids: Sequence[str], /) -> None:
        """Delete records: the jobs were certainly not accepted by the broker."""

    def read(self, job_id: str, /) -> Record | None:
        """The record; None if there is none, or if it has expired."""

    def page(self, *, limit: int, after: str = "") -> Page:
        """About so many records, for somebody who looks: by id, the newest first, or in no order in Redis.

        `after` is what the page before said. A page may be empty and not the last.
        """

    def close(self) -> None:
        """Give back connections. The store may be used again afterwards."""


class LeaseStore(Protocol):
    """Leases, by the clock of the store's server, and counters that are forgotten when nobody counts on."""

    def acquire(self, name: str, /, *, holder: str, span: timedelta) -> Lease | None:
        """The lease, if it is free, has run out, or is this holder's already; None if another has it.

        A claim that must succeed once is a lease that is never given back.
        """

    def renew(self, leases: Sequence[Lease], /, *, span: timedelta) -> frozenset[str]:
        """Prolong leases, from now, in one round trip; the names of those that are still held.

        One that has run out and that nobody else has taken is held on.
        """

    def release(self, leases: Sequence[Lease], /) -> None:
        """Give leases back. One that another has taken meanwhile stays theirs."""

    def count(self, name: str, /, *, span: timedelta) -> int:
        """Add one to the counter and return it, from 1; it is forgotten when nobody has counted for the span.

        A write whose answer was lost may be repeated, and counts twice.
        """


class DeadLetterStore(Protocol):
    """Dead letters, one a job."""

    def bury(self, letter: DeadLetter, /) -> None:
        """Keep a letter, atomically, in one round trip; what was kept of the same job before becomes its history.

        A letter of an earlier life than the one that is kept is dropped: a copy of the job came late.
        """

    def letters(self, selection: Selection, /) -> Iterator[DeadLetter]:
        """The letters that are meant, oldest first, read page by page."""

    def redriven(self, letter_id: str, /, *, number: int, at: datetime) -> None:
        """Note that the job has been enqueued again, for the `number`-th time. May be repeated."""

    def discard(self, ids: Sequence[str], /) -> int:
        """Delete letters; how many there were."""


class WaitingStore(Protocol):
    """Jobs whose delay is longer than their backend holds one, by the clock of the store's server."""

    def hold(self, backend: str, messages: Sequence[Message], /) -> None:
        """Keep jobs of the backend of this alias until their `run_after`, in one round trip. May be repeated."""

    def until_due(self, backend: str, /) -> timedelta | None:
        """How long until the next job is due, below zero if it is; None if none waits. As cheap for many as for one."""

    def claim_due(self, backend: str, /, *, limit: int, span: timedelta) -> Claimed:
        """Jobs that are due, which nobody else is given until the span has passed; it may be less than there are."""

    def handed_over(self, claimed: Claimed, /) -> None:
        """Forget these jobs, since their backend has them. One that another has claimed meanwhile stays."""

    def give_back(self, claimed: Claimed, /) -> None:
        """These jobs have certainly not been handed over: they are due again at once."""

    def withdraw(self, backend: str, ids: Sequence[str], /) -> int:
        """Forget jobs that are not to run; how many there were. One that is being handed over may run."""


class KeyStore(Protocol):
    """Idempotency keys: leases that can be completed, by the clock of the store's server."""

    def claim_key(self, name: str, /, *, job: str, holder: str, span: timedelta, waits: str) -> Key:
        """Take the key for a job, if nobody has it and it is not done; whose it is now. One round trip.

        It was taken if the answer names this `holder`. If it is done, that one more delivery found it so is counted.
        `waits` is the name of a counter that the answer tells.
        """

    def renew_keys(self, keys: Sequence[Key], /, *, span: timedelta) -> frozenset[str]:
        """Prolong the leases of keys, from now, in one round trip; the names of those that are still held.

        One that has run out and that nobody else has taken is held on.
        """

    def complete_key(self, key: Key, /, *, kept: timedelta) -> bool:
        """What the key stands for has been done: it is kept so, from now. False if another has taken it."""

    def send_completion(self, key: Key, /, *, kept: timedelta, refused: Callable[[], object]) -> bool:
        """Send `complete_key` to the server, and do not wait for its answer; False if nothing was sent: call that then.

        Nothing is where there is no server that would be waited for, or where its connection is broken. `refused` is
        called, from the thread that reads the answer, if the completion was not taken or nobody can know.
        """

    def settle(self) -> None:
        """Read the answers that `send_completion` did not wait for, as far as the next claims have not."""

    def release_key(self, key: Key, /) -> bool:
        """Give the key back undone. False if another has taken it, whose it stays, or if it is done."""

    def read_key(self, name: str, /) -> Key | None:
        """Whose the key is; None if nobody has it."""

    def forget_key(self, name: str, /) -> bool:
        """Let what was done be done again; False if nothing was done under this key."""


class KeyedResultStore(Protocol):
    """What happens to a key and to the record of the job that has it, in one write: atomically, in one round trip."""

    def start_with_key(
        self, name: str, /, *, job: NewRecord, started: Started, holder: str, span: timedelta, waits: str
    ) -> tuple[Key, bool]:
        """`claim_key`, and `record` if that took the key and the job has never waited for it; what both answer.

        The number of a job's attempt depends on its waits, which are known once it has the key: then the start of one
        that has waited is still to be recorded.
        """

    def end_with_key(
        self, key: Key, /, *, job: NewRecord, ended: Transition, kept: timedelta | None
    ) -> tuple[bool, bool]:
        """`complete_key`, or `release_key` if it is not to be `kept`, and `record`; whether each was done.

        Neither is if another has taken the key.
        """


class ScheduleStore(Protocol):
    """How far the schedules of periodic tasks have come, by the clock of the store's server."""

    def enter(self, name: str, timetable: str, /) -> Standing:
        """How a schedule stands. A new one, and one whose timetable has changed, has nothing to make up for."""

    def standings(self, names: Sequence[str], /) -> dict[str, Standing]:
        """How these schedules stand, in one round trip; what was never entered is missing."""

    def claim_tick(self, name: str, nominal: datetime, /, *, span: timedelta) -> int | None:
        """A token: the right to enqueue this tick, until the span has passed.

        None: it is done already, or another's, or still to come, or the schedule is paused.
        """

    def tick_done(self, name: str, nominal: datetime, token: int, /, *, job_id: str) -> bool:
        """This tick is enqueued, and what came before it is done with; False if the claim is another's by now."""

    def release_tick(self, name: str, token: int, /) -> None:
        """This tick was not enqueued: anyone may claim it at once."""

    def pass_over(self, name: str, until: datetime, /) -> None:
        """What came until then is done with and not enqueued."""

    def pause(self, name: str, /) -> bool:
        """Let no tick be claimed; False if there is no such schedule."""

    def resume(self, name: str, /) -> bool:
        """Go on, from now; False if there is no such schedule."""


class CancellationStore(Protocol):
    """The jobs that somebody has cancelled."""

    def ask_to_cancel(self, job_id: str, /, *, kept: timedelta, terminate: bool = False) -> None:
        """Remember for this time that the job is not to start any more, or even to be ended while it runs.

        Who asks for less later does not take back what was asked for before.
        """

    def is_asked_to_cancel(self, job_id: str, /) -> bool:
        """Whether that is remembered of the job; one round trip."""

    def asked_to_terminate(self, ids: Sequence[str], /) -> frozenset[str]:
        """Those of the jobs that are to be ended while they run; one round trip."""

    def forget_cancellation(self, job_id: str, /) -> None:
        """Let the job start again."""


class Store(
    ResultStore,
    LeaseStore,
    DeadLetterStore,
    WaitingStore,
    KeyStore,
    KeyedResultStore,
    ScheduleStore,
    CancellationStore,
    Protocol,
):
    """All of TaskBridge's own durable state."""
