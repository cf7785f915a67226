"""A failed attempt's way to the next one: in steps, and past a broker that takes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import taskbridge
from taskbridge import services
from taskbridge.router import router
from taskbridge.services.rabbitmq import RabbitMQServer
from tests.celery import application
from tests.celery.conftest import Ledger, log_of, start_worker
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_a_delay_between_attempts_above_the_ceiling_is_travelled_in_steps(
    broker: str, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"{broker}?visibility_timeout=4")
    with start_worker(tmp_path) as worker:
        assert router.backend().capabilities.run_after.ceiling == timedelta(seconds=2)
        retry = taskbridge.Retry(2, delay=timedelta(seconds=5), jitter=False, on=(Exception,))
        job = application.fail.using(retry=retry).enqueue("patient")
        first, second = ledger.wait("patient", count=2)
        assert second["at"] - first["at"] >= 5
        assert log_of(worker).count(f"Task fail[{job.id}] ignored") == 2


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
