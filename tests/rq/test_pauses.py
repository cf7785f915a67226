"""Workers on RQ that stand still, or forget to renew: who is given their job, and who records its outcome."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from taskbridge_rq.lease import GRACE_SECONDS, LEASE_SECONDS
from tests.pauses import standing_still
from tests.rq import tasks

if TYPE_CHECKING:
    from taskbridge.process import Process
    from tests.rq.conftest import Shop

SILENCE = LEASE_SECONDS + GRACE_SECONDS + 4
"""Seconds after which a worker that is not heard of has lost its job."""
REGISTRIES = {"return": "finished", "raise": "failed", "retry": "scheduled"}


def begin(shop: Shop, gate: str, kind: str = "taskbridge_rq.Worker", *, jobs_before: int = 0) -> tuple[Process, str]:
    """A worker in the middle of a job, which ends as its gate is called; and that job's key."""
    shop.ledger.touch()
    handle = tasks.gated_retry.enqueue(gate) if gate == "retry" else tasks.gated.enqueue(gate, then=gate)
    worker = shop.worker(kind)
    shop.begun(worker, jobs_before + 1)
    return worker, f"rq:job:{handle.id}"


def end(shop: Shop, entry: dict[str, Any], other: Process, paused: Process) -> None:
    """Let the attempt of a paused worker end, which recorded this entry."""
    shop.open_gate(entry["number"], entry["gate"])
    shop.until(lambda: not runs(paused, entry["pid"]), other)
    assert shop.written("ended")[-1]["pid"] == entry["pid"]


def runs(worker: Process, pid: int) -> bool:
    return any(process.pid == pid for process in worker.tree())


def recorded(shop: Shop) -> dict[str, int]:
    return {gate: shop.count(registry) for gate, registry in REGISTRIES.items()}


def test_paused_workers_record_nothing_over_the_heads_of_their_replacements(shop: Shop) -> None:
    shop.configure()
    paused = {gate: begin(shop, gate, jobs_before=place) for place, gate in enumerate(REGISTRIES)}
    held = {entry["gate"]: entry for entry in shop.written("began")}
    with ExitStack() as pauses:
        for worker, _ in paused.values():
            pauses.enter_context(standing_still(worker.pid))  # its attempt's process goes on
        other = shop.worker()
        for number in range(len(paused), 2 * len(paused)):
            shop.begun(other, number + 1)
            gate = shop.written("began")[number]["gate"]
            before = recorded(shop)
            worker, job = paused[gate]
            end(shop, held[gate], other, worker)
            assert (recorded(shop), shop.redis.hget(job, "status")) == (before, b"started")
            shop.open_gate(number, gate)
            after = {**before, gate: 1}
            shop.until(lambda: recorded(shop) == after, other)  # noqa: B023 - called in this turn of the loop
    tasks.late.enqueue_many([()] * 4)
    shop.until(lambda: shop.count("finished") == 5, other)
    assert all(worker.running for worker, _ in paused.values())
    assert recorded(shop) == {"return": 5, "raise": 1, "retry": 1}


def test_without_a_fence_they_do(shop: Shop) -> None:
    shop.configure()
    paused, _ = begin(shop, "return", "tests.rq.bugs.WithoutFence")
    with standing_still(paused.pid):
        other = shop.worker()
        shop.begun(other, 2)
        end(shop, shop.written("began")[0], other, paused)
        assert shop.count("finished") == 1


def test_a_paused_tree_ends_its_attempt_when_it_goes_on(shop: Shop) -> None:
    shop.configure()
    paused, _ = begin(shop, "return")
    horse = shop.written("began")[0]["pid"]
    with ExitStack() as pauses:
        for process in paused.tree():
            pauses.enter_context(standing_still(process.pid))
        other = shop.worker()
        shop.begun(other, 2)
    shop.until(lambda: not runs(paused, horse), paused)
    shop.open_gate(1, "return")
    shop.until(lambda: shop.count("finished") == 1, other)
    assert len(shop.written("ended")) == 1


def test_a_job_longer_than_its_lease_is_doubled_only_if_the_renewal_is_forgotten(shop: Shop) -> None:
    shop.configure()
    tasks.lasting.enqueue("renewed", float(SILENCE))
    shop.begun(shop.worker())
    tasks.lasting.enqueue("forgotten", float(2 * SILENCE))
    shop.begun(shop.worker("tests.rq.bugs.WithoutRenewal"), 2)
    other = shop.worker()
    shop.until(lambda: shop.count("finished") == 1 and len(shop.written("began")) > 2, other)
    assert [entry["name"] for entry in shop.written("began")] == ["renewed", "forgotten", "forgotten"]
    assert [entry["name"] for entry in shop.written("ended")] == ["renewed"]
