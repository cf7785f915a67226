"""Faults for workers to be started with, each of which must turn a test red: `TASKBRIDGE_TEST_PLANTED` names one."""

from __future__ import annotations

import os
import time
from multiprocessing import synchronize
from pathlib import Path
from typing import TYPE_CHECKING

from taskbridge.process.liveness import NOWHERE
from taskbridge_dramatiq import amqp_broker, amqp_consumer, lease, middleware, redis_consumer
from taskbridge_dramatiq.crash_counter import CrashCounter
from taskbridge_dramatiq.fenced_rabbitmq import FencedRabbitmqBroker
from taskbridge_dramatiq.leased_broker import LeasedRedisBroker
from taskbridge_dramatiq.scripts import ACK, Script

if TYPE_CHECKING:
    from dramatiq.broker import MessageProxy


def early_acknowledgement() -> None:
    begin = LeasedRedisBroker.begin

    def acknowledging(self: LeasedRedisBroker, message: MessageProxy, /) -> bool:
        assert isinstance(message, redis_consumer.LeasedMessage)
        keys = self.keys(message.held_on)
        ACK(self.client, (keys.acks(message.lease_id), keys.messages), message.redis_id)
        return begin(self, message)

    LeasedRedisBroker.begin = acknowledging  # type: ignore[method-assign]  # that is the fault


def no_recovery() -> None:
    setattr(lease, "LOOKS", 2**31)  # noqa: B010 - the fault is not for the type checker
    setattr(lease, "fate", lambda _: "unknown")  # noqa: B010 - as above


def on_another_host() -> None:
    """No fault: nobody knows this worker's fate."""
    setattr(lease, "own_mark", lambda: NOWHERE)  # noqa: B010 - as above


def no_renewal() -> None:
    """While a task runs, as a lease does that the worker's own loop renews."""
    start = LeasedRedisBroker.start

    def starting(self: LeasedRedisBroker) -> None:
        beat = self.lease._beat
        self.lease._beat = lambda started: None if self.held("default") else beat(started)  # type: ignore[method-assign]  # that is the fault
        start(self)

    LeasedRedisBroker.start = starting  # type: ignore[method-assign]  # as above


def no_fence() -> None:
    setattr(redis_consumer, "ACK", Script("redis.call('hdel', KEYS[2], ARGV[1])"))  # noqa: B010 - as above


def forgetful_reconnect() -> None:
    FencedRabbitmqBroker.carries_on = lambda _self, _delivery: False  # type: ignore[method-assign]  # that is the fault


def hasty_renewal() -> None:
    """No fault: what takes ten minutes takes one second."""
    setattr(amqp_consumer, "RENEW_SECONDS", 1)  # noqa: B010 - as above


def short_heartbeat() -> None:
    """No fault either: a silent worker is noticed in seconds."""
    setattr(amqp_broker, "WORKER_HEARTBEAT_SECONDS", 2)  # noqa: B010 - as above


def uncounted() -> None:
    CrashCounter.count = lambda _self, _message: 0  # type: ignore[method-assign]  # that is the fault


def slow_announcement() -> None:
    """No fault: while the master is told that the process has booted, a job has seconds to run, if it may."""
    notify_all = synchronize.Condition.notify_all

    def notifying(self: synchronize.Condition) -> None:
        ledger = Path(os.environ["TASKBRIDGE_TEST_LEDGER"])
        deadline = time.monotonic() + 3
        while not ledger.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.5)
        notify_all(self)

    synchronize.Condition.notify_all = notifying  # type: ignore[method-assign]  # it takes no time else


def hasty_jobs() -> None:
    """Jobs run while the master is told, as with Dramatiq alone."""
    slow_announcement()
    setattr(middleware, "wait_until_announced", lambda: None)  # noqa: B010 - as above


if planted := os.environ.get("TASKBRIDGE_TEST_PLANTED"):
    globals()[planted]()
