"""No broker command more than the engine's own call: counted between the application and a real broker."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

import taskbridge
from taskbridge.router import router
from taskbridge_compare.bench import wire
from taskbridge_compare.bench.counts import Count, Counting, compare
from taskbridge_compare.bench.meter import Meter
from taskbridge_compare.drivers.rows import rows
from taskbridge_compare.workload import SHIPPED, load

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge_compare.drivers import Driver

pytestmark = pytest.mark.timeout(180)

FIXTURES = {"redis": "redis_server", "amqp": "rabbitmq_server", "postgres": "postgres_server"}
ATTEMPTS = 3
WORKLOAD = load(SHIPPED)
BRIDGED = {driver.backend: driver for driver in rows() if driver.profile == "taskbridge"}
NATIVE = {driver.backend: driver for driver in rows() if driver.profile == "native"}


def opened(driver: Driver, folder: Path, request: pytest.FixtureRequest) -> Counting:
    fixture = FIXTURES.get(driver.broker)
    url = request.getfixturevalue(fixture).fresh_url() if fixture else f"sqlite:///{folder}.db"
    return Counting(driver, WORKLOAD, folder=folder, url=url)


@pytest.mark.parametrize("backend", BRIDGED)
def test_an_enqueue_says_no_more_to_the_broker_than_the_native_call(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with (
        closing(opened(NATIVE[backend], tmp_path / "native", request)) as native,
        closing(opened(BRIDGED[backend], tmp_path / "bridged", request)) as bridged,
    ):
        for _ in range(ATTEMPTS):  # round trips are counted too high where the machine stops a sender midway
            if not (faults := compare(native, bridged)):
                return
    pytest.fail("\n".join(faults))


@taskbridge.task
def silent(number: int) -> int:
    return number


def test_no_result_is_written_unless_it_is_asked_for(redis_url: str) -> None:
    configured = router.configured
    with Meter(redis_url) as meter:
        try:
            taskbridge.configure(url=f"huey+{meter.url}")
            silent.enqueue(1)
            meter.reset()
            silent.enqueue(1)
            assert wire.redis_commands(meter.read()[1]) == Counter({"LPUSH": 1})
            meter.reset()
            silent.using(result=True).enqueue(1)
            assert wire.redis_commands(meter.read()[1]).total() > 1
        finally:
            router.configure(configured)


def test_one_command_more_is_noticed() -> None:
    class Fixed(Counting):
        def __init__(self, extra: int) -> None:
            self.extra = extra

        def __call__(self, jobs: int, *, bulk: bool = False) -> Count:
            said = {"LPUSH": jobs, "SET": self.extra}
            return Count(Counter(said), 1 if bulk else jobs + self.extra)

    assert compare(Fixed(0), Fixed(0)) == []
    assert len(compare(Fixed(0), Fixed(1))) == 2
