"""An attempt that runs is ended where somebody asks for that, and nothing else is."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

import taskbridge
from taskbridge import Cancellation
from taskbridge.cancellation import cancel
from taskbridge.errors import StoreUnavailable, UnsupportedFeature
from taskbridge.identity import new_id
from taskbridge.message import Cancelled, Done, Headers, Message
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.store import DetailStatus, NewRecord, Selection, Store, open_store
from taskbridge.worker import Environment, Runner, termination
from taskbridge.worker.interruption import Interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskbridge.message import Outcome

LONG = 60.0
in_the_body: list[Callable[[], object]] = []


@taskbridge.task(name="terminate.works", cancellable=True, retry=taskbridge.Retry(3, on=(Exception,)))
def works() -> None:
    in_the_body[0]()


@taskbridge.task(name="terminate.in-time", cancellable=True, timeout=timedelta(seconds=LONG))
def works_in_time() -> None:
    in_the_body[0]()


@taskbridge.task(name="terminate.awaits", cancellable=True)
async def awaits() -> None:
    try:
        await asyncio.sleep(LONG)
    finally:
        in_the_body[0]()


@taskbridge.task(name="terminate.never-awaits", cancellable=True)
async def never_awaits() -> None:
    in_the_body[0]()


@taskbridge.task(name="terminate.waits", cancellable=True)
def waits(seconds: float) -> str:
    spin(seconds)
    return "done"


@taskbridge.task(name="terminate.not-cancellable", result=True)
def not_cancellable() -> None:
    in_the_body[0]()


def spin(seconds: float = LONG) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def sleep() -> None:
    time.sleep(LONG)


def nap() -> None:
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        time.sleep(0.01)


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


@pytest.fixture
def runner(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    monkeypatch.setattr(termination, "LOOKED_EVERY", 0.05)
    in_the_body[:] = [sleep]
    taskbridge.configure("memory://")
    yield Runner(router.backend(), Environment(alias="default", registry=registry, open_store=lambda: store))
    router.configure(None)


def job(task: str, *args: Any, result: bool = False) -> Message:
    return Message(new_id(), task, list(args), {}, headers=Headers(result=result))


def terminates(store: Store, message: Message) -> Cancellation:
    ttl = timedelta(days=1)
    return cancel(message.id, "default", backend=router.backend(), store=store, ttl=ttl, terminate=True)


def soon(store: Store, message: Message) -> threading.Timer:
    timer = threading.Timer(0.2, terminates, (store, message))
    timer.start()
    return timer


def run_here(runner: Runner, store: Store, message: Message) -> tuple[Outcome, float]:
    began = time.monotonic()
    timer = soon(store, message)
    outcome = runner(message, attempt=1)
    timer.join()
    return outcome, time.monotonic() - began


def run_in_thread(runner: Runner, store: Store, message: Message) -> tuple[Outcome, float]:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run_here, runner, store, message).result()


@pytest.mark.parametrize("body", [sleep, spin, nap])
@pytest.mark.parametrize("task", ["terminate.works", "terminate.in-time", "terminate.never-awaits"])
def test_in_a_main_thread_even_a_blocking_call_is_ended(
    runner: Runner, store: Store, task: str, body: Callable[[], object]
) -> None:
    in_the_body[:] = [body]
    before = signal.getsignal(signal.SIGALRM)
    outcome, seconds = run_here(runner, store, job(task))
    assert outcome == Cancelled()
    assert seconds < LONG / 2
    assert signal.getsignal(signal.SIGALRM) == before


@pytest.mark.parametrize("body", [spin, nap])
@pytest.mark.parametrize("task", ["terminate.works", "terminate.in-time", "terminate.never-awaits"])
def test_in_any_other_thread_what_runs_python_is_ended(
    runner: Runner, store: Store, task: str, body: Callable[[], object]
) -> None:
    in_the_body[:] = [body]
    outcome, seconds = run_in_thread(runner, store, job(task))
    assert outcome == Cancelled()
    assert seconds < LONG / 2


@pytest.mark.parametrize("run", [run_here, run_in_thread])
def test_a_coroutine_is_ended_at_its_await_as_asyncio_has_it(runner: Runner, store: Store, run: Any) -> None:
    seen: list[str] = []
    in_the_body[:] = [lambda: seen.append("cleaned up")]
    assert run(runner, store, job("terminate.awaits"))[0] == Cancelled()
    assert seen == ["cleaned up"]


def test_the_record_says_cancelled_and_there_is_no_retry_and_no_dead_letter(runner: Runner, store: Store) -> None:
    def fails_in_its_clean_up() -> None:
        try:
            sleep()
        finally:
            raise ValueError("no connection to tidy up")

    in_the_body[:] = [fails_in_its_clean_up]
    sent = job("terminate.works", result=True)
    store.queued([NewRecord(id=sent.id, task=sent.task, queue_name="default", backend="default")])
    assert run_here(runner, store, sent)[0] == Cancelled()
    record = store.read(sent.id)
    assert record is not None
    assert record.detail_status is DetailStatus.CANCELLED
    assert terminates(store, sent) is Cancellation.WILL_NOT_START
    assert list(store.letters(Selection())) == []


def test_what_a_task_does_in_its_finally_has_time(runner: Runner, store: Store) -> None:
    seen: list[str] = []

    def cleans_up() -> None:
        try:
            sleep()
        finally:
            time.sleep(0.5)
            seen.append("cleaned up")

    in_the_body[:] = [cleans_up]
    assert run_here(runner, store, job("terminate.works"))[0] == Cancelled()
    assert seen == ["cleaned up"]


@pytest.mark.parametrize("run", [run_here, run_in_thread])
def test_a_task_that_catches_everything_is_interrupted_again(
    runner: Runner, store: Store, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "CLEAN_UP", 0.1)
    caught: list[BaseException] = []

    def is_stubborn() -> None:
        while len(caught) < 2:
            try:
                nap()
            except BaseException as error:  # noqa: BLE001 - what users write
                caught.append(error)
        nap()

    in_the_body[:] = [is_stubborn]
    assert run(runner, store, job("terminate.works"))[0] == Cancelled()
    assert len(caught) == 2


def test_the_neighbours_in_other_threads_are_left_alone(runner: Runner, store: Store) -> None:
    in_the_body[:] = [nap]
    ended, neighbour = job("terminate.works"), job("terminate.waits", 1.0)
    with ThreadPoolExecutor(2) as pool:
        spared = pool.submit(runner, neighbour, attempt=1)
        assert pool.submit(run_here, runner, store, ended).result()[0] == Cancelled()
        assert spared.result() == Done("done")


def test_the_next_job_of_the_same_thread_is_left_alone(runner: Runner, store: Store) -> None:
    first = job("terminate.waits", 0.0)
    assert runner(first, attempt=1) == Done("done")
    assert terminates(store, first) is Cancellation.UNKNOWN
    assert runner(job("terminate.waits", 0.3), attempt=1) == Done("done")


def test_a_job_that_is_only_asked_to_end_comes_to_its_end(runner: Runner, store: Store) -> None:
    sent = job("terminate.waits", 0.3)
    timer = threading.Timer(0.05, store.ask_to_cancel, (sent.id,), {"kept": timedelta(minutes=1)})
    timer.start()
    assert runner(sent, attempt=1) == Done("done")
    timer.join()


def test_a_job_that_is_not_cancellable_is_not_watched(runner: Runner, store: Store) -> None:
    in_the_body[:] = [lambda: spin(0.3)]
    sent = job("terminate.not-cancellable", result=True)
    assert run_here(runner, store, sent)[0] == Done(None)


def test_a_store_that_is_down_for_a_moment_is_asked_again(
    runner: Runner, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = store.asked_to_terminate, [StoreUnavailable("down"), RuntimeError("a bug")]

    def asked(ids: list[str]) -> frozenset[str]:
        if failures:
            raise failures.pop()
        return real(ids)

    monkeypatch.setattr(store, "asked_to_terminate", asked)
    assert run_here(runner, store, job("terminate.works"))[0] == Cancelled()


@pytest.mark.usefixtures("runner")
def test_a_handle_says_what_came_of_it_or_why_it_cannot() -> None:
    assert waits.enqueue(0).cancel(terminate=True) is Cancellation.TERMINATING
    with pytest.raises(UnsupportedFeature, match="cancellable=True"):
        not_cancellable.enqueue().cancel(terminate=True)
    with pytest.raises(UnsupportedFeature, match=r"store="):
        cancel(
            "1", "a", backend=router_of("dramatiq+amqp://127.0.0.1:1//"), store=None, ttl=timedelta(), terminate=True
        )


def router_of(url: str) -> Any:
    taskbridge.configure(url)
    return router.backend()


@pytest.mark.parametrize("is_main", [True, False])
def test_nothing_is_raised_after_the_end_however_close_to_it(is_main: bool) -> None:
    """A thousand times, somebody interrupts at about the time at which the block ends anyway."""
    ended = in_time = 0
    handed: SimpleQueue[Interruption | None] = SimpleQueue()

    def interrupts() -> None:
        while (interruption := handed.get()) is not None:
            interruption.happen()

    def is_interrupted(turns: int) -> bool:
        interruption = Interruption(KeyError)
        try:
            try:
                interruption.begin()
                handed.put(interruption)
                for _ in range(turns):
                    pass
            finally:
                interruption.end()
        except KeyError:
            return True
        finally:
            interruption.end()
        return False

    def many() -> None:
        nonlocal ended, in_time
        for turn in range(1000):
            if is_interrupted(turn % 50 * 20):
                ended += 1
            else:
                in_time += 1

    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    other = threading.Thread(target=interrupts)
    other.start()
    gc.disable()  # what is raised in somebody's callback of the collector, as Hypothesis has one, is lost there
    try:
        if is_main:
            many()
        else:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(many).result()
    finally:
        gc.enable()
        handed.put(None)
        other.join()
        assert signal.signal(signal.SIGALRM, before) is signal.SIG_DFL
    assert ended + in_time == 1000
