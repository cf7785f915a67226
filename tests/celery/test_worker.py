"""What is peculiar to Celery when its own workers run our tasks."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from kombu.connection import Connection

import taskbridge
from taskbridge import services
from taskbridge.message import Message
from taskbridge.router import router
from taskbridge.store import Selection
from tests.celery import application
from tests.celery.conftest import STOP, Ledger, start_worker
from tests.waiting import until

if TYPE_CHECKING:
    from taskbridge.process import Process


pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module", params=["redis", "amqp"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Process]]:
    """A broker's URL, and one worker that the tests of the module share on it."""
    kind = {"redis": "redis_server", "amqp": "rabbitmq_server"}[request.param]
    url = f"celery+{request.getfixturevalue(kind).fresh_url()}"
    folder = tmp_path_factory.mktemp("worker")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(application.LEDGER, str(folder / "ledger"))
        taskbridge.configure(url, queues=("default", "other"))
        with start_worker(folder, queues=("default", "other")) as process:
            yield url, process


@pytest.fixture
def worker(shared: tuple[str, Process], monkeypatch: pytest.MonkeyPatch) -> Process:
    url, process = shared
    assert process.log is not None
    monkeypatch.setenv(application.LEDGER, str(process.log.parent / "ledger"))
    taskbridge.configure(url, queues=("default", "other"))
    return process


@pytest.fixture
def shared_ledger(worker: Process) -> Ledger:
    return Ledger(Path(os.environ[application.LEDGER]))


def log_of(worker: Process) -> str:
    assert worker.log is not None
    return worker.log.read_text()


def test_a_job_whose_process_is_killed_runs_again(worker: Process, shared_ledger: Ledger) -> None:
    application.dies.enqueue("crash", 2)
    shared_ledger.wait("crash ended")
    assert len(shared_ledger.events("crash")) == 3


def test_a_job_that_kills_every_process_fails_in_the_end_and_the_worker_goes_on(
    worker: Process, shared_ledger: Ledger
) -> None:
    job = application.dies.enqueue("poison", 99)
    shared_ledger.wait("poison", count=4)
    application.noted.enqueue("after poison")
    shared_ledger.wait("after poison")
    until(lambda: f"Task dies[{job.id}] retry: Retry in 1s: WorkerLostError" in log_of(worker), what="a retry")
    until(lambda: "was not run again: its worker died 4 times" in log_of(worker), what="the failure")
    assert len(shared_ledger.events("poison")) == 4


def test_a_death_of_the_process_takes_no_attempt_from_the_retry_policy(worker: Process, shared_ledger: Ledger) -> None:
    application.dies_then_fails.enqueue("twice")
    shared_ledger.wait("twice", count=3)
    until(lambda: "ValueError('twice')" in log_of(worker), what="the failure")
    assert [event["attempt"] for event in shared_ledger.events("twice")] == [1, 1, 2]


def test_one_worker_serves_several_queues(worker: Process, shared_ledger: Ledger) -> None:
    application.noted.enqueue("first")
    application.noted.using(queue_name="other").enqueue("second")
    shared_ledger.wait("first")
    shared_ledger.wait("second")


BROKEN: dict[str, tuple[dict[str, Any], Any]] = {
    "unknown task": ({"task": "nobody", "id": "1"}, [[], {}, {}]),
    "no task": ({}, [[], {}, {}]),
    "no id": ({"task": "note"}, [["lost"], {}, {}]),
    "a body that is no call": ({"task": "note", "id": "2"}, {"a": 1}),
    "no body": ({"task": "note", "id": "3"}, None),
    "limits that are none": ({"task": "note", "id": "4", "timelimit": "x"}, [["lost"], {}, {}]),
    "a moment that is none": ({"task": "note", "id": "5", "eta": "x"}, [["lost"], {}, {}]),
    "a type that Kombu does not know": (
        {"task": "note", "id": "6"},
        [[{"__type__": "nonsense", "__value__": 1}], {}, {}],
    ),
    "headers that are not ours": ({"task": "note", "id": "7", "taskbridge": "{"}, [["lost"], {}, {}]),
    "arguments that do not fit": ({"task": "note", "id": "8"}, [[1, 2, 3], {}, {}]),
}


def test_no_message_of_a_wrong_shape_stops_the_worker(
    worker: Process, shared: tuple[str, Process], shared_ledger: Ledger
) -> None:
    with Connection(shared[0].removeprefix("celery+")) as connection, connection.Producer() as producer:
        for headers, body in BROKEN.values():
            producer.publish(body, routing_key="default", headers=headers, serializer="json")
        producer.publish(b"not json", routing_key="default", headers={"task": "note", "id": "9"},
                         content_type="application/json", content_encoding="utf-8")  # fmt: skip
    router.backend().enqueue([Message("10", "nobody", [], {})])
    application.noted.enqueue("after all that")
    shared_ledger.wait("after all that")
    assert not shared_ledger.events("lost")
    assert worker.running
    assert "Restarting" not in log_of(worker)
    assert "re-establish" not in log_of(worker)


def test_an_idle_worker_wakes_within_fifty_milliseconds(worker: Process, shared_ledger: Ledger) -> None:
    delays = []
    for number in range(9):
        started = os.times().elapsed
        application.noted.enqueue(f"idle {number}")
        shared_ledger.wait(f"idle {number}")
        delays.append(os.times().elapsed - started)
    assert min(delays) < timedelta(milliseconds=50).total_seconds()


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_a_delay_between_attempts_above_the_ceiling_is_travelled_in_steps(
    broker: str, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"{broker}?visibility_timeout=4")
    with start_worker(tmp_path) as worker:
        assert router.backend().capabilities.run_after.ceiling == timedelta(seconds=2)
        retry = taskbridge.Retry(2, delay=timedelta(seconds=5), jitter=False)
        job = application.fail.using(retry=retry).enqueue("patient")
        first, second = ledger.wait("patient", count=2)
        assert 5 <= second["at"] - first["at"] < 10
        assert log_of(worker).count(f"Task fail[{job.id}] ignored") == 2


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.usefixtures("configured")
def test_a_job_at_most_once_is_not_run_again_after_a_kill(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path):
        job = application.once.enqueue("once")
        ledger.wait("once")
        store = router.store()
        assert store is not None
        chosen = Selection(ids=(job.id,))
        until(lambda: any(store.letters(chosen)), what="the dead letter")
    assert [letter.reason for letter in store.letters(chosen)] == ["at most once"]
    assert len(ledger.events("once")) == 1


@pytest.mark.parametrize("broker", ["amqp"], indirect=True)
@pytest.mark.usefixtures("configured")
def test_a_job_of_a_killed_worker_runs_on_the_next_one(tmp_path: Path, ledger: Ledger) -> None:
    with start_worker(tmp_path) as killed:
        application.hold.enqueue("held", 2)
        ledger.wait("held")
        killed.kill_tree()
    with start_worker(tmp_path):
        ledger.wait("held ended")
    assert len(ledger.events("held")) == 2


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_an_attempt_that_fails_while_the_broker_is_away_is_made_again(
    kind: services.Kind, tmp_path: Path, ledger: Ledger
) -> None:
    options = services.Options(persistent=True) if kind == "redis" else None
    with services.start_private(kind, options=options) as server:
        taskbridge.configure(f"celery+{server.url}")
        with start_worker(tmp_path) as worker:
            application.fail_late.enqueue("late", 2)
            ledger.wait("late")
            server.kill()
            until(lambda: "reject requeue=True" in log_of(worker), what="the retry that could not be published")
            server.restart()
            until(lambda: ledger.events("late")[-1]["attempt"] == 2, seconds=60, what="the second attempt")


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_the_hooks_run_once_in_each_process_that_runs_attempts(
    broker: str, pool: str, tmp_path: Path, ledger: Ledger
) -> None:
    taskbridge.configure(f"{broker}?pool={pool}")
    with start_worker(tmp_path) as worker:
        application.noted.enqueue("ran")
        (ran,) = ledger.wait("ran")
        # Before the worker has read the result, its child would wait half a minute for that, and it for its child.
        with redis.Redis.from_url(broker.removeprefix("celery+")) as client:
            until(lambda: not client.exists("unacked"), what="the acknowledgement")
        worker.send(signal.SIGTERM)
        assert worker.wait(within=STOP) == 0
    for event in ("worker started", "worker stopped"):
        assert [each["pid"] for each in ledger.events(event)] == [ran["pid"]]


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.usefixtures("configured", "ledger")
def test_logging_that_the_application_set_up_is_left_alone_and_so_is_stdout(tmp_path: Path) -> None:
    with start_worker(tmp_path, imports=(application.__name__, "tests.celery.own_logging")) as worker:
        application.says.enqueue("hello")
        until(lambda: "printed hello" in log_of(worker), what="the print")
        lines = log_of(worker).splitlines()
    assert [line for line in lines if line.endswith("hello")] == ["MINE application hello", "printed hello"]


@pytest.mark.parametrize("pool", ["threads", "solo"])
@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_a_timeout_comes_when_the_record_says(broker: str, pool: str, tmp_path: Path, ledger: Ledger) -> None:
    taskbridge.configure(f"{broker}?pool={pool}")
    is_prompt = not taskbridge.router.router.backend().capabilities.prompt_timeout.is_refused
    assert is_prompt == (pool == "solo")
    with start_worker(tmp_path):
        application.slow.enqueue("slow")
        (start,) = ledger.wait("slow")
        (end,) = ledger.wait("slow ended")
    assert (end["at"] - start["at"] < 2) == is_prompt


def test_secrets_stay_out_of_argv(redis_url: str) -> None:
    taskbridge.configure(f"celery+{redis_url.replace('://', '://user:hunter2@')}")
    (command,) = taskbridge.router.router.backend().worker_commands(taskbridge.backend.WorkerOptions())
    assert "hunter2" not in " ".join(command.argv)
    assert "hunter2" not in repr(command)
