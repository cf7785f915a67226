"""`taskbridge check` against real servers that are set up badly, and against good ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import redis

from taskbridge.message import Message
from taskbridge.process import free_port
from taskbridge.services.rabbitmq import RabbitMQServer
from taskbridge.store import open_store
from tests.check.command import TASKS, bad, check

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskbridge import services

ON_REDIS = ["celery", "dramatiq", "rq", "huey"]


@pytest.mark.parametrize("engine", ON_REDIS)
def test_a_redis_that_evicts_and_persists_nothing_is_found_by_every_engine(
    engine: str, careless: str, tmp_path: Path
) -> None:
    code, findings = check(tmp_path, f"{engine}+{careless}")
    assert code == 1
    assert "maxmemory-policy is allkeys-lru" in bad(findings)
    assert any(what.startswith("it persists nothing") for what in bad(findings))


@pytest.mark.parametrize("engine", ON_REDIS)
def test_nothing_is_found_against_a_durable_redis(engine: str, durable: services.Server, tmp_path: Path) -> None:
    assert bad(check(tmp_path, f"{engine}+{durable.fresh_url()}")[1]) == []


@pytest.mark.parametrize("engine", ["celery", "dramatiq"])
def test_nothing_is_found_against_a_rabbitmq_and_no_queue_is_made(
    engine: str, rabbitmq_server: services.Server, tmp_path: Path
) -> None:
    assert isinstance(rabbitmq_server, RabbitMQServer)
    url = rabbitmq_server.fresh_url()
    assert bad(check(tmp_path, f"{engine}+{url}")[1]) == []
    vhost = urlsplit(url).path.removeprefix("/")
    assert rabbitmq_server.evaluate(f'length(rabbit_amqqueue:list(<<"{vhost}">>)).') == "0"


@pytest.mark.parametrize("engine", ["celery", "dramatiq"])
def test_a_queue_of_another_shape_is_found(engine: str, amqp_url: str, tmp_path: Path) -> None:
    enqueue = "import shop\nshop.short.enqueue()"
    (tmp_path / "shop.py").write_text(TASKS)
    url = f"{engine}+{amqp_url}"
    environment = {**os.environ, "TASKBRIDGE_URL": url, "TASKBRIDGE_QUEUES": f"default,{engine}"}
    declared = enqueue.replace("enqueue()", f"using(queue_name={engine!r}).enqueue()")
    subprocess.run([sys.executable, "-c", declared], cwd=tmp_path, env=environment, check=True, timeout=60)
    os.environ["TASKBRIDGE_QUEUES"] = f"default,{engine}"
    try:
        _, findings = check(tmp_path, f"{url}?priority=5")
    finally:
        del os.environ["TASKBRIDGE_QUEUES"]
    assert any("another shape" in what for what in bad(findings))
    assert any("nobody consumes" in what for what in bad(findings))


@pytest.mark.parametrize(
    "scheme", ["celery+redis", "celery+amqp", "dramatiq+redis", "dramatiq+amqp", "rq+redis", "huey+redis"]
)
def test_a_server_that_is_not_there_is_found_in_time_and_its_password_is_not_shown(scheme: str, tmp_path: Path) -> None:
    _, findings = check(tmp_path, f"{scheme}://user:hunter22@127.0.0.1:{free_port()}")
    assert any("cannot be reached" in what for what in bad(findings))
    assert "hunter22" not in json.dumps(findings)


def test_a_redis_that_has_hardly_a_connection_left_is_found(durable: services.Server, tmp_path: Path) -> None:
    limit = 40
    with redis.Redis.from_url(durable.url) as client, ExitStack() as held:
        before = client.config_get("maxclients")["maxclients"]
        client.config_set("maxclients", limit)
        try:
            while client.info("clients")["connected_clients"] < limit - 3:
                held.enter_context(redis.Redis.from_url(durable.url)).ping()
            _, findings = check(tmp_path, f"huey+{durable.fresh_url()}")
        finally:
            client.config_set("maxclients", before)
    assert any(f"of {limit} connections are taken" in what for what in bad(findings))


@pytest.mark.timeout(120)
def test_an_alarm_of_rabbitmq_is_found(rabbitmq_server: services.Server, tmp_path: Path) -> None:
    assert isinstance(rabbitmq_server, RabbitMQServer)
    alarm = "{resource_limit, disk, node()}"
    rabbitmq_server.evaluate(f"rabbit_alarm:set_alarm({{{alarm}, []}}).")
    try:
        for engine in ("celery", "dramatiq"):
            _, findings = check(tmp_path, f"{engine}+{rabbitmq_server.fresh_url()}")
            assert any("does not take messages" in what for what in bad(findings))
    finally:
        rabbitmq_server.evaluate(f"rabbit_alarm:clear_alarm({alarm}).")


def test_a_misspelt_setting_of_celery_is_found_and_an_own_one_is_not(durable: services.Server, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        f"from celery import Celery\napp = Celery('own', broker={durable.url!r}, set_as_current=False)\n"
        "app.conf.update(task_ack_late=True, shop_currency='EUR')\n"
    )
    _, findings = check(tmp_path, "celery+redis://?app=own:app")
    about = [finding["about"] for finding in findings]
    assert "Celery setting task_ack_late" in about
    assert not any("shop_currency" in each for each in about)


def test_every_task_is_bound_and_each_refusal_is_told(tmp_path: Path) -> None:
    tasks = TASKS.replace("@taskbridge.task(", "@taskbridge.task(priority=5, ")
    _, findings = check(tmp_path, f"huey+sqlite:///{tmp_path}/queue.db", tasks=tasks.replace("short", "urgent"))
    code, refused = check(tmp_path, f"celery+amqp://127.0.0.1:{free_port()}", tasks=tasks)
    assert bad(findings) == []
    assert code == 1
    assert any("its backend refuses it" in what for what in bad(refused))


def test_a_timeout_above_the_grace_is_found(tmp_path: Path) -> None:
    url = f"huey+sqlite:///{tmp_path}/queue.db"
    assert check(tmp_path, url)[0] == 0
    code, findings = check(tmp_path, url, "--grace", "4")
    assert code == 1
    assert any("above the grace of 4 s" in what for what in bad(findings))


def notes(folder: Path, options: Sequence[str]) -> list[str]:
    """What is noted about tasks with these options."""
    declared = [f"\n@taskbridge.task({each})\ndef task_{number}() -> None: ..." for number, each in enumerate(options)]
    code, findings = check(
        folder, f"huey+sqlite:///{folder}/queue.db", tasks="\n".join((*TASKS.split("@")[:1], *declared))
    )
    assert code == 0
    return [f"{finding['about']}: {finding['what']}" for finding in findings]


def test_what_is_allowed_and_seldom_meant_is_noted(tmp_path: Path) -> None:
    declared = [
        "timeout=timedelta(seconds=1), retry=taskbridge.Retry(2, on=(Exception,))",
        "timeout=timedelta(seconds=30), native={'celery': {'soft_time_limit': 5}}",
    ]
    assert notes(tmp_path, declared) == [
        "retries: every error of shop.task_0 is retried",
        "native options: shop.task_1 says something to one engine alone",
        "queue default: shop.task_0 may take 1 s there, and shop.task_1 30 s",
    ]


def test_what_is_said_well_is_not_noted(tmp_path: Path) -> None:
    declared = [
        "timeout=timedelta(seconds=5), retry=taskbridge.Retry(2, on=(OSError,))",
        "timeout=timedelta(seconds=30), native={'celery': {'name': 'legacy'}}",
    ]
    assert notes(tmp_path, declared) == []


def test_a_file_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    _, findings = check(tmp_path, f"huey+sqlite:///{tmp_path}/nowhere/queue.db")
    assert bad(findings)


def test_people_read_severity_consequence_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(TASKS)
    done = subprocess.run(
        [sys.executable, "-m", "taskbridge", "check", "-A", "shop", "--grace", "1"],
        cwd=tmp_path,
        env={**os.environ, "TASKBRIDGE_URL": f"huey+sqlite:///{tmp_path}/queue.db"},
        capture_output=True,
        text=True,
        timeout=timedelta(seconds=60).total_seconds(),
        check=False,
    )
    assert done.returncode == 1
    assert "warning grace of a stop" in done.stdout
    assert "-> Raise" in done.stdout


def test_a_job_whose_time_has_come_and_that_nobody_hands_over_is_found(
    durable: services.Server, tmp_path: Path
) -> None:
    url = durable.fresh_url()
    store = open_store(url)
    due = datetime.now(UTC) - timedelta(minutes=5)
    store.hold("default", [Message("late", "tasks.report", [], {}, run_after=due)])
    store.close()
    (what,) = bad(check(tmp_path, f"celery+{url}")[1])
    assert "still waits in the store" in what


def test_a_schedule_that_its_backend_refuses_is_found(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.taskbridge.periodic.nightly]\ntask = "tasks.no_such"\ncron = "0 3 * * *"\n'
    )
    code, findings = check(tmp_path, "huey+sqlite:///./queue.db")
    assert code == 1
    assert any("there is no task 'tasks.no_such'" in what for what in bad(findings))
