"""Redis is gone, or does not let a worker on RQ in."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from taskbridge_rq.lease import LEASE_SECONDS
from tests.rq import tasks

if TYPE_CHECKING:
    from taskbridge.services import Server
    from tests.rq.conftest import Shop


def test_a_worker_survives_a_restart_of_redis_in_the_middle_of_a_job(own_shop: Shop, own_server: Server) -> None:
    shop = own_shop
    shop.configure()
    shop.ledger.touch()
    tasks.gated.enqueue()
    tasks.late.enqueue()
    worker = shop.worker()
    shop.begun(worker)
    time.sleep(1.5)  # the server's file is synced each second
    own_server.kill()
    shop.open_gate(0)
    time.sleep(LEASE_SECONDS + 2)  # longer than a lease
    own_server.restart()
    shop.until(lambda: shop.count("finished") == 2, worker)
    assert len(shop.written("began")) == 1
    assert (shop.count("wip"), shop.count("failed")) == (0, 0)


def test_a_worker_starts_before_redis_does_and_when_idle_stops_while_it_is_gone(
    own_shop: Shop, own_server: Server
) -> None:
    shop = own_shop
    shop.configure()
    tasks.late.enqueue()
    time.sleep(1.5)  # the server's file is synced each second
    own_server.kill()
    worker = shop.worker()
    worker.wait_for_line("Redis does not take a command", within=timedelta(seconds=30))
    own_server.restart()
    shop.until(lambda: shop.count("finished") == 1, worker)
    lines = worker.output().count("Redis does not take a command")
    own_server.kill()
    shop.until(lambda: worker.output().count("Redis does not take a command") > lines, worker)
    worker.send(signal.SIGTERM)
    assert worker.wait(within=timedelta(seconds=20)) is not None
    own_server.restart()


def test_a_worker_with_a_wrong_password_ends_instead_of_waiting(shop: Shop) -> None:
    shop.redis.acl_setuser("shop", enabled=True, passwords=["+s3cret"], categories=["+@all"], keys=["*"])
    shop.url = shop.url.replace("redis://", "redis://shop:wr0ng@")
    shop.configure()
    worker = shop.worker()
    assert worker.wait(within=timedelta(seconds=30)) == 1
    assert "password" in worker.output()
    assert "wr0ng" not in worker.output()
