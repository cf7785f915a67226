"""Every backend on Redis goes on after Sentinel has made another server the master."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from taskbridge.process import Command, Process, free_port
from tests.redis_programs import fail_over, watched_pair
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ENGINES = ("celery", "dramatiq", "huey", "rq")
PASSWORD, SENTINEL_PASSWORD = "the-masters", "the-sentinels"


class Producer:
    """The process that enqueues."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        heard: dict[str, Any] = json.loads(self._process.stdout.readline())
        return heard

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


def environment(ledger: Path, sentinels: str) -> dict[str, str]:
    """Four backends by URL, each in a database of its own, and one by the settings of Django."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in sentinels.split(","))
    urls = {
        f"TASKBRIDGE_BACKENDS__{engine.upper()}__URL": (
            f"{engine}+redis://:{PASSWORD}@{hosts}/{database}?sentinel=shop&sentinel_password={SENTINEL_PASSWORD}"
        )
        for database, engine in enumerate(ENGINES)
    }
    return {
        **urls,
        "TASKBRIDGE_BACKENDS__DJANGO__URL": "django+rq://default",
        "DJANGO_SETTINGS_MODULE": "tests.sentinel.project",
        "PAIR_SENTINELS": sentinels,
        "PAIR_PASSWORD": PASSWORD,
        "PAIR_SENTINEL_PASSWORD": SENTINEL_PASSWORD,
        "PAIR_LEDGER": str(ledger),
    }


@pytest.mark.timeout(300)
def test_producers_workers_and_stores_follow_the_master(tmp_path: Path) -> None:
    with ExitStack() as stack:
        pair = stack.enter_context(watched_pair(tmp_path, password=PASSWORD, sentinel_password=SENTINEL_PASSWORD))
        # The first of the Sentinels is not there.
        ours = environment(tmp_path / "ledger", f"{free_port()},{pair.sentinel}")
        producer = Producer(stack.enter_context(started(ours)))
        commands = producer.hear()
        workers = {
            alias: stack.enter_context(
                Process(
                    Command(argv=tuple(each["argv"]), environment={**ours, **each["environment"]}),
                    log=tmp_path / alias,
                )
            )
            for alias, each in commands.items()
        }
        assert set(workers) == {*ENGINES, "django"}
        for moment in ("before", "after"):
            producer.tell(moment)
            results = producer.hear()
            assert results == {alias: f"{alias} {moment}" for alias in workers}, logs(workers)
            if moment == "before":
                fail_over(pair, password=PASSWORD, sentinel_password=SENTINEL_PASSWORD)
        until(lambda: all(worker.running for worker in workers.values()), what="every worker alive")
        for alias, worker in workers.items():
            assert PASSWORD not in worker.output(), alias
            assert SENTINEL_PASSWORD not in worker.output(), alias


def started(ours: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sentinel.producer"],
        env={**os.environ, **ours},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def logs(workers: Mapping[str, Process]) -> str:
    return "\n".join(f"--- {alias}\n{worker.output()[-2000:]}" for alias, worker in workers.items())
