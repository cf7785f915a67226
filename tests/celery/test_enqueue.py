"""What is peculiar to Celery when jobs are handed to its brokers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from celery import Celery, signals
from kombu.connection import Connection
from redis import Redis

import taskbridge
from taskbridge import services
from taskbridge.backend import WorkerOptions
from taskbridge.errors import BrokerUnavailable, ConfigurationError, EnqueueError, UnsupportedFeature
from taskbridge.process import Process
from taskbridge.router import router
from taskbridge_celery import CeleryBackend
from tests.celery import application
from tests.pauses import standing_still
from tests.waiting import WAIT

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge.services import Server

NOBODY = "127.0.0.1:1"


def depth(url: str, queue: str = "default") -> int:
    """How many messages wait in a queue."""
    with Connection(url.removeprefix("celery+")) as connection:
        return int(connection.default_channel.queue_declare(queue, passive=True).message_count)


@pytest.mark.parametrize("url", [f"celery+redis://{NOBODY}/0", f"celery+amqp://{NOBODY}"])
def test_an_absent_broker_is_told_at_once_and_nothing_was_accepted(url: str) -> None:
    taskbridge.configure(url)
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="cannot be reached") as caught:
            application.noted.enqueue("lost")
        assert not caught.value.maybe_accepted
        assert time.monotonic() - started < 15


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_says_nothing_is_given_up_within_the_stated_time(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        taskbridge.configure(f"celery+{scheme}://127.0.0.1:{silent.getsockname()[1]}/")
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable) as caught:
            application.noted.enqueue("lost")
        assert not caught.value.maybe_accepted
        assert time.monotonic() - started < 20


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_broker_that_stops_to_answer_may_have_the_job(kind: services.Kind) -> None:
    with services.start(kind) as server:
        taskbridge.configure(f"celery+{server.url}")
        application.noted.enqueue("first")
        with standing_still(server.pid), pytest.raises(BrokerUnavailable, match="may hold it") as caught:
            application.noted.enqueue("second")
        assert caught.value.maybe_accepted
        application.noted.enqueue("third")
        server.restart()
        application.noted.enqueue("after a restart, on a connection that was open before it")


def test_refused_credentials_are_named(broker: str) -> None:
    parts = urlsplit(broker)
    taskbridge.configure(parts._replace(netloc=f"someone:wrong@{parts.hostname}:{parts.port}").geturl())
    with pytest.raises(BrokerUnavailable, match="refuses the credentials") as caught:
        application.noted.enqueue("lost")
    assert "wrong" not in str(caught.value).replace("invalid username-password pair or user is disabled", "")


@pytest.mark.parametrize("broker", ["amqp"], indirect=True)
def test_a_queue_of_another_shape_is_refused_in_words_and_the_connection_stays_good(broker: str) -> None:
    taskbridge.configure(broker)
    application.noted.enqueue("plain")
    taskbridge.configure(f"{broker}?priority=10", queues=("default", "other"))
    with pytest.raises(EnqueueError, match=r"another shape .*\?priority=") as caught:
        application.noted.enqueue("with priority")
    assert not caught.value.maybe_accepted
    application.noted.using(queue_name="other", priority=50).enqueue("elsewhere")
    assert depth(broker) == 1
    assert depth(broker, "other") == 1


@pytest.mark.parametrize("broker", ["amqp"], indirect=True)
@pytest.mark.usefixtures("configured")
def test_a_queue_that_was_deleted_is_told_and_declared_again(broker: str) -> None:
    application.noted.enqueue("first")
    with Connection(broker.removeprefix("celery+")) as connection:
        connection.default_channel.queue_delete("default")
    with pytest.raises(EnqueueError, match="does not exist any more") as caught:
        application.noted.enqueue("second")
    assert not caught.value.maybe_accepted
    application.noted.enqueue_many([("third",), ("fourth",)])
    assert depth(broker) == 2


def test_priority_on_rabbitmq_is_refused_until_it_is_asked_for(amqp_url: str) -> None:
    taskbridge.configure(f"celery+{amqp_url}")
    with pytest.raises(UnsupportedFeature, match=r"\?priority=10"):
        application.noted.using(priority=1).enqueue("soon")


def test_results_on_rabbitmq_are_refused_until_a_store_is_named(amqp_url: str, redis_url: str) -> None:
    taskbridge.configure(f"celery+{amqp_url}")
    with pytest.raises(UnsupportedFeature, match=r"\?store=redis://"):
        application.noted.using(result=True).enqueue("kept")
    taskbridge.configure(f"celery+{amqp_url}?store={redis_url}")
    assert not application.noted.using(result=True).enqueue("kept").is_finished


def test_a_delay_above_the_ceiling_is_refused_where_there_is_no_store_or_emulation_is_not_wanted(
    amqp_url: str, redis_url: str
) -> None:
    for url, words in ((f"celery+{amqp_url}", r"\?store="), (f"celery+{redis_url}?strict=yes", "strict=yes")):
        taskbridge.configure(url)
        ceiling = taskbridge.router.router.backend().capabilities.run_after.ceiling
        assert ceiling is not None
        for run_after in (ceiling + timedelta(minutes=1), datetime.now(UTC) + ceiling + timedelta(minutes=1)):
            with pytest.raises(UnsupportedFeature, match=f"{ceiling}.*{words}"):
                application.noted.using(run_after=run_after).enqueue("late")


@pytest.mark.parametrize(
    ("options", "minutes"), [("?store=redis://host/0", 1), ("?store=redis://host/0&strict=yes", 15), ("", 15)]
)
def test_a_worker_holds_no_delay_above_a_minute_where_there_is_a_store_to_wait_in(options: str, minutes: int) -> None:
    taskbridge.configure(f"celery+amqp://{NOBODY}{options}")
    assert router.backend().capabilities.run_after.ceiling == timedelta(minutes=minutes)


def test_children_of_a_fork_and_their_parent_enqueue(configured: str) -> None:
    application.noted.enqueue("before")
    children = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                application.noted.enqueue_many([(f"child {number}",)] * 20)
                os._exit(0)
            os._exit(1)
        children.append(pid)
    application.noted.enqueue_many([("parent",)] * 20)
    for pid in children:
        assert _exit_code(pid) == 0
    application.noted.enqueue("after")
    assert depth(configured) == 82 if "amqp" in configured else _listed(configured) == 82


def test_threads_share_the_connections(configured: str) -> None:
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: application.noted.enqueue(f"thread {number}"), range(200)))
    assert depth(configured) == 200 if "amqp" in configured else _listed(configured) == 200


def _exit_code(pid: int) -> int:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("the child hangs")


def _listed(url: str) -> int:
    with Redis.from_url(url.removeprefix("celery+")) as redis:
        return int(redis.llen("default\x06\x163"))


def commands(redis: Redis) -> dict[str, int]:
    """How often each command was called on this server."""
    stats: dict[str, Any] = redis.info("commandstats")
    asking = ("cmdstat_info", "cmdstat_config|resetstat", "cmdstat_config")  # the last before Redis 7
    return {name: each["calls"] for name, each in stats.items() if name not in asking}


@pytest.fixture
def quiet_server() -> Iterator[Server]:
    """A Redis server that nobody else asks anything."""
    with services.start_private("redis") as server:
        yield server


def test_one_job_takes_no_command_more_than_celerys_own_call(quiet_server: Server) -> None:
    urls = [quiet_server.fresh_url() for _ in range(2)]
    app = Celery("native", broker=urls[0], set_as_current=False)

    def native() -> None:
        app.send_task("note", ("text",), ignore_result=True)

    def ours() -> None:
        application.noted.enqueue("text")

    taskbridge.configure(f"celery+{urls[1]}")
    counted = []
    with Redis.from_url(quiet_server.url) as redis:
        for enqueue in (native, ours):
            enqueue()
            redis.config_resetstat()
            for _ in range(10):
                enqueue()
            counted.append(commands(redis))
    app.close()
    assert counted[0] == counted[1] == {"cmdstat_lpush": 10}


@pytest.fixture
def published() -> Iterator[list[dict[str, Any]]]:
    """What Celery's own signal told of each message."""
    told: list[dict[str, Any]] = []

    def note(**said: Any) -> None:
        told.append(said)
        said["headers"]["trace"] = "abc"

    signals.before_task_publish.connect(note, weak=False)
    yield told
    signals.before_task_publish.disconnect(note)


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.usefixtures("configured")
def test_celerys_signals_see_each_job_of_a_bulk(published: list[dict[str, Any]]) -> None:
    application.noted.enqueue_many([("one",), ("two",)])
    assert [(each["sender"], each["body"][0], each["routing_key"]) for each in published] == [
        ("note", ["one"], "default"),
        ("note", ["two"], "default"),
    ]


def test_the_applications_own_app_is_used(redis_url: str) -> None:
    app = Celery("own", broker=redis_url, set_as_current=False)
    app.conf.task_routes = {"note": {"queue": "routed"}}
    app.conf.broker_transport_options = {"global_keyprefix": "own:"}
    taskbridge.configure(backends={"default": CeleryBackend(app=app, queues=("default",))})
    application.noted.enqueue("ours")
    with Redis.from_url(redis_url) as redis:
        assert redis.llen("own:default\x06\x163") == 1
    assert app.conf.broker_transport_options == {"global_keyprefix": "own:"}


def test_an_app_that_cannot_carry_our_messages_is_refused() -> None:
    for settings, word in (({"accept_content": ["pickle"]}, "'json'"), ({"task_protocol": 1}, "task_protocol=1")):
        app = Celery("own", broker=f"redis://{NOBODY}", set_as_current=False)
        app.conf.update(settings)
        with pytest.raises(ConfigurationError, match=word):
            CeleryBackend(app=app)
    with pytest.raises(ConfigurationError, match="no Celery app"):
        CeleryBackend(app="proj.celery:app")
    for url, word in (
        ("celery+redis://host/0?priority=10", "celery[+]amqp"),
        ("celery+redis://?app=tests.celery.own:app&visibility_timeout=9", "set it in the app"),
        ("celery+redis://?app=tests.celery.own:app", "the app's broker is amqp"),
        ("celery+redis://host/0?app=os:path", "names a broker"),
        ("celery+redis://?app=os:nope", "no 'nope'"),
    ):
        taskbridge.configure(url)
        with pytest.raises(ConfigurationError, match=word):
            taskbridge.router.router.backend()


def test_a_timeout_above_the_stated_consumer_timeout_is_refused_when_it_meets_rabbitmq(amqp_url: str) -> None:
    taskbridge.configure(f"celery+{amqp_url}?consumer_timeout=60")
    long = application.slow.using(timeout=timedelta(seconds=61))
    with pytest.raises(UnsupportedFeature, match=r"consumer_timeout"):
        long.enqueue("long")
    taskbridge.configure(f"celery+{amqp_url}?consumer_timeout=62")
    long.enqueue("long enough")


def test_a_worker_refuses_to_start_with_a_timeout_above_the_consumer_timeout(amqp_url: str, tmp_path: Path) -> None:
    taskbridge.configure(f"celery+{amqp_url}?consumer_timeout=1")
    options = WorkerOptions(imports=("tests.celery.long",))
    (command,) = router.backend().worker_commands(options)
    with Process(command, log=tmp_path / "log") as worker:
        assert worker.wait(within=timedelta(seconds=30)) not in (None, 0)
    assert "timeout=0:00:02 of the task 'long' is above" in (tmp_path / "log").read_text()
