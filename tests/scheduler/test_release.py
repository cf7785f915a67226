"""Delays above a backend's ceiling: kept in the store, handed over when due, whoever dies."""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

import taskbridge
from taskbridge.errors import BrokerUnavailable, EnqueueError
from taskbridge.message import Message
from taskbridge.process import Command, Process
from taskbridge.router import router
from taskbridge.scheduler.release import Release
from taskbridge.store import DetailStatus, ResultStatus
from taskbridge.testing import MemoryBackend
from tests.scheduler import shop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskbridge.services import Server

ROOT = Path(__file__).parents[2]
PATIENCE = timedelta(seconds=45)
CEILING = timedelta(seconds=2)


@pytest.fixture
def url(redis_server: Server) -> Iterator[str]:
    """Celery on Redis, whose workers may hold a delay for two seconds only."""
    url = f"celery+{redis_server.fresh_url()}?visibility_timeout=4"
    taskbridge.configure(url)
    yield url
    router.configure(None)


def store() -> Any:
    return router.store()


def on_broker(url: str) -> list[str]:
    """The messages that lie on Celery's lists, one for each priority."""
    client: Any = Redis.from_url(url.removeprefix("celery+").partition("?")[0])
    texts = [str(text) for key in client.keys("default*") for text in client.lrange(key, 0, -1)]
    client.close()
    return texts


def test_long_delays_wait_in_the_store_and_run_when_they_are_due(url: str, tmp_path: Path) -> None:
    assert router.backend().capabilities.run_after.ceiling == CEILING
    noted, moment = tmp_path / "noted", datetime.now(UTC) + timedelta(seconds=6)
    noted.touch()
    late = shop.note.using(run_after=moment).enqueue(str(noted), "late")
    many = shop.note.using(run_after=moment).enqueue_many([(str(noted), f"many{n}") for n in range(3)])
    expired = shop.note.using(run_after=moment, expires=CEILING).enqueue(str(noted), "expired")
    # Not one of them lies on the broker.
    assert on_broker(url) == []
    assert store().until_due("default") > CEILING
    assert late.status is ResultStatus.READY
    assert late.run_after == moment

    argv = (sys.executable, "-m", "taskbridge", "worker", "-A", "tests.scheduler.shop", "-c", "1")
    command = Command(argv=argv, environment={"TASKBRIDGE_URL": url}, directory=ROOT)
    with Process(command, log=tmp_path / "log") as worker:
        worker.wait_for_line("took over the duty release:default", within=PATIENCE)
        worker.wait_until(lambda: noted.read_text().count("\n") == 4, within=PATIENCE, what="seen to run all")
        for handle in (late, *many):
            assert handle.wait(PATIENCE) is None

        def is_expired() -> bool:
            expired.refresh()
            return expired.detail_status is DetailStatus.EXPIRED

        worker.wait_until(is_expired, within=PATIENCE, what="seen to record the expiry")
    starts = dict(line.split() for line in noted.read_text().splitlines())
    assert set(starts) == {"late", "many0", "many1", "many2"}
    assert all(datetime.fromisoformat(at) >= moment for at in starts.values())
    assert store().until_due("default") is None


@pytest.mark.parametrize("step", ["claimed", "enqueued"])
def test_a_releaser_that_is_killed_at_any_step_loses_nothing(url: str, tmp_path: Path, step: str) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    ids = [f"{step}-{number}" for number in range(3)]
    messages = [Message(job_id, shop.note.name, ["", ""], {}, run_after=past) for job_id in ids]
    store().hold("default", messages)
    argv = (sys.executable, "-m", "tests.scheduler.dying", "release", url, step)
    with Process(Command(argv=argv, directory=ROOT), log=tmp_path / "log") as releaser:
        releaser.wait_for_line(f"^{step}$", within=PATIENCE)
        os.kill(releaser.pid, signal.SIGKILL)
    assert len(on_broker(url)) == (0 if step == "claimed" else 3)

    # The claim of the dead ends, and the jobs are due again, under the same ids.
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while store().until_due("default") > timedelta(0):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    Release("default", store()).beat()
    assert store().until_due("default") is None
    texts = on_broker(url)
    assert len(texts) == (3 if step == "claimed" else 6)
    for job_id in ids:
        assert sum(f'"id": "{job_id}"' in text for text in texts) == len(texts) / 3


class Choosy(MemoryBackend):
    """Takes no batch with a job named bad in it, or nothing at all."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []
        self.error: EnqueueError | None = None

    def enqueue(self, messages: Sequence[Message], /) -> None:
        if self.error is not None:
            raise self.error
        ids = [message.id for message in messages]
        if "bad" in ids:
            raise ValueError("a queue that is not there")
        self.taken += ids


@pytest.fixture
def choosy() -> Iterator[Choosy]:
    backend = Choosy()
    taskbridge.configure(backends={"default": backend})
    yield backend
    router.configure(None)


def due(job_id: str) -> Message:
    return Message(job_id, "shop.note", [], {}, run_after=datetime.now(UTC) - timedelta(seconds=1))


def test_a_job_that_the_backend_does_not_take_holds_up_no_other(choosy: Choosy) -> None:
    store().hold("default", [due("good"), due("bad"), due("better")])
    assert Release("default", store()).beat() == timedelta(0)
    assert sorted(choosy.taken) == ["better", "good"]
    left = store().until_due("default")
    assert timedelta(seconds=20) < left < timedelta(seconds=40)


def test_what_a_broker_certainly_did_not_take_is_due_at_once_and_what_it_may_have_later(choosy: Choosy) -> None:
    release = Release("default", store())
    for maybe_accepted in (False, True):
        store().hold("default", [due("held")])
        choosy.error = BrokerUnavailable("away", maybe_accepted=maybe_accepted)
        with pytest.raises(BrokerUnavailable):
            release.beat()
        assert (store().until_due("default") > timedelta(seconds=20)) is maybe_accepted


def test_it_asks_again_when_the_next_is_due_and_within_a_second(choosy: Choosy) -> None:
    release = Release("default", store())
    assert release.beat() == timedelta(seconds=1)
    soon = due("soon")
    soon.run_after = datetime.now(UTC) + timedelta(seconds=0.7)
    store().hold("default", [soon])
    assert release.beat() < timedelta(seconds=1)
