"""What is peculiar to Celery when its own workers run our tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kombu.connection import Connection

import taskbridge
from taskbridge.message import Message
from taskbridge.router import router
from taskbridge.store import Selection
from tests.celery import application
from tests.celery.conftest import Ledger, log_of, start_worker
from tests.waiting import until

if TYPE_CHECKING:
    from taskbridge.process import Process


pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("rabbitmq-0")]


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


@pytest.mark.parametrize("shared", ["redis"], indirect=True)
@pytest.mark.usefixtures("worker")
def test_a_job_at_most_once_is_not_run_again_after_a_kill(shared_ledger: Ledger) -> None:
    job = application.once.enqueue("once")
    shared_ledger.wait("once")
    store = router.store()
    assert store is not None
    chosen = Selection(ids=(job.id,))
    until(lambda: any(store.letters(chosen)), what="the dead letter")
    assert [letter.reason for letter in store.letters(chosen)] == ["at most once"]
    assert len(shared_ledger.events("once")) == 1


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.usefixtures("configured", "ledger")
def test_logging_that_the_application_set_up_is_left_alone_and_so_is_stdout(tmp_path: Path) -> None:
    with start_worker(tmp_path, imports=(application.__name__, "tests.celery.own_logging")) as worker:
        application.says.enqueue("hello")
        until(lambda: "printed hello" in log_of(worker), what="the print")
        lines = log_of(worker).splitlines()
    assert [line for line in lines if line.endswith("hello")] == ["MINE application hello", "printed hello"]


def test_secrets_stay_out_of_argv(redis_url: str) -> None:
    taskbridge.configure(f"celery+{redis_url.replace('://', '://user:hunter2@')}")
    (command,) = taskbridge.router.router.backend().worker_commands(taskbridge.backend.WorkerOptions())
    assert "hunter2" not in " ".join(command.argv)
    assert "hunter2" not in repr(command)
