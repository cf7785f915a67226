"""A failed attempt's way to the next one: through the store or in steps, and past a broker that takes nothing."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest
from redis import Redis

import taskbridge
from taskbridge import services
from taskbridge.message import Message
from taskbridge.router import router
from taskbridge.scheduler import scheduling
from taskbridge.services.rabbitmq import RabbitMQServer
from tests.celery import application
from tests.celery.conftest import Ledger, log_of, start_worker
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(180)

PATIENT = taskbridge.Retry(3, delay=timedelta(seconds=3), factor=1, jitter=False, on=(Exception,))


@pytest.mark.parametrize("broker", ["amqp"], indirect=True)
def test_a_delay_between_attempts_above_the_ceiling_is_travelled_in_steps_where_there_is_no_store(
    broker: str, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"{broker}?consumer_timeout=4")
    with start_worker(tmp_path) as worker:
        assert router.backend().capabilities.run_after.ceiling == timedelta(seconds=2)
        job = application.fail.using(retry=PATIENT).enqueue("patient")
        first, second = ledger.wait("patient", count=2)
        assert second["at"] - first["at"] >= 3
        assert log_of(worker).count(f"Task fail[{job.id}] ignored") == 1


@pytest.mark.parametrize("imports", [(), ("tests.celery.killed_held",)])
def test_a_delay_between_attempts_above_the_ceiling_waits_in_the_store(
    redis_server: services.Server, tmp_path: Path, ledger: Ledger, imports: tuple[str, ...]
) -> None:
    """Also where the process is killed between keeping and acknowledging it: the first attempt is made again."""
    url = redis_server.fresh_url()
    taskbridge.configure(f"celery+{url}?visibility_timeout=4")
    assert router.backend().capabilities.retry.ceiling == timedelta(seconds=2)
    store = router.store()
    assert store is not None
    with start_worker(tmp_path, imports=(application.__name__, *imports)):
        job = application.fails_twice.using(retry=PATIENT, priority=50, metadata={"a": 1}).enqueue("patient")
        ledger.wait("patient", count=2 if imports else 1)
        until(lambda: store.until_due("default") is not None, what="the job in the store")
        kept = kept_at(url)
        assert (kept.id, kept.queue_name, kept.priority > 0) == (job.id, "default", True)
        with scheduling(("default",), print):
            ledger.wait("patient ended")
            application.noted.enqueue("sentinel")
            ledger.wait("sentinel")
    events = ledger.events("patient")
    assert [event["attempt"] for event in events] == ([1, 1, 2] if imports else [1, 2, 3])
    assert {event["id"] for event in events} == {job.id}
    assert all(event["metadata"] == {"a": 1} for event in events)
    gaps = [later["at"] - earlier["at"] for earlier, later in pairwise(events)]
    assert min(gaps[1:] if imports else gaps) >= 3
    assert store.until_due("default") is None


def kept_at(url: str) -> Message:
    """The one job that waits in the store on this Redis."""
    with Redis.from_url(url) as client:
        (text,) = client.hvals("taskbridge:waiting-jobs:default")
    return msgspec.json.decode(text, type=Message)


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_an_attempt_that_fails_while_the_broker_is_away_is_made_again(
    kind: services.Kind, tmp_path: Path, ledger: Ledger
) -> None:
    options = services.Options(persistent=True) if kind == "redis" else None
    with services.start_private(kind, options=options) as server:
        taskbridge.configure(f"celery+{server.url}")
        with start_worker(tmp_path) as worker:
            application.fails_gated.enqueue("late")
            ledger.wait("late")
            server.kill()
            ledger.open("late")
            until(lambda: "reject requeue=True" in log_of(worker), what="the retry that could not be published")
            server.restart()
            until(lambda: ledger.events("late")[-1]["attempt"] == 2, what="the second attempt")


def test_a_worker_survives_an_alarm_and_resumes(
    rabbitmq_server: services.Server, tmp_path: Path, ledger: Ledger
) -> None:
    assert isinstance(rabbitmq_server, RabbitMQServer)
    taskbridge.configure(f"celery+{rabbitmq_server.fresh_url()}")
    with start_worker(tmp_path) as worker:
        application.fails_gated.enqueue("alarmed")
        ledger.wait("alarmed")
        alarm = "{resource_limit, disk, node()}"
        rabbitmq_server.evaluate(f"rabbit_alarm:set_alarm({{{alarm}, []}}).")
        ledger.open("alarmed")
        try:
            until(lambda: "reject requeue=True" in log_of(worker), what="the retry that was not taken")
        finally:
            rabbitmq_server.evaluate(f"rabbit_alarm:clear_alarm({alarm}).")
        until(lambda: ledger.events("alarmed")[-1]["attempt"] == 2, what="the second attempt")
        assert worker.running
