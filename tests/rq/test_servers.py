"""Redis is gone, or does not let a worker on RQ in."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taskbridge.router import router
from taskbridge.worker.effectively_once import key_name
from taskbridge_compare.faults.proxy import CuttingProxy
from taskbridge_rq.lease import LEASE_SECONDS
from tests.rq import tasks

if TYPE_CHECKING:
    from taskbridge.services import Server
    from taskbridge_compare.faults.cut_rules import Way
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


class _Completion:
    """What completes the first key goes nowhere."""

    has_struck = False

    def drops(self, _connection: int, way: Way, data: bytes) -> bool:
        strikes = not self.has_struck and way == "to server" and b"\r\nEVAL\r\n" in data
        self.has_struck |= strikes
        return strikes


def test_the_process_of_an_attempt_does_not_end_before_its_key_is_known_to_be_done(shop: Shop) -> None:
    parts = urlsplit(shop.url)
    assert parts.port is not None
    with CuttingProxy(str(parts.hostname), parts.port) as proxy:
        proxy.rule = rule = _Completion()
        shop.configure(f"?store=redis://127.0.0.1:{proxy.port}{parts.path}")
        tasks.shipped.enqueue("a")
        worker = shop.worker()
        shop.until(lambda: shop.count("finished") == 1, worker)
        assert rule.has_struck
        store = router.store()
        assert store is not None

        def is_done() -> bool:
            key = store.read_key(key_name(tasks.shipped.name, "a"))
            return key is not None and key.done_at is not None

        shop.until(is_done, worker)
        assert len(shop.written("shipped")) == 1
