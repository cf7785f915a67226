"""What a backend refuses, before any I/O: no server answers in any of these tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import taskbridge
from taskbridge import task
from taskbridge.errors import BackendNotInstalled, ConfigurationError, InvalidTask, UnknownBackend, UnsupportedFeature
from taskbridge.router import router

if TYPE_CHECKING:
    from collections.abc import Iterator

NOWHERE = "redis://user:hunter22@127.0.0.1:1/0"


@task
def note(key: str) -> None: ...


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    router.configure(None)


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("kafka+redis://localhost", UnknownBackend, "no adapter is called 'kafka'"),
        ("celry+redis://localhost", UnknownBackend, "Did you mean 'celery'"),
        ("rq+amqp://localhost", UnknownBackend, r"rq does not run on 'amqp'.*rq\+redis"),
        ("huey+sqlite://host/file", ConfigurationError, "four slashes"),
        ("rq+redis://localhost/queue", ConfigurationError, "database number"),
        ("huey+redis://localhost?prio=yes", ConfigurationError, "Did you mean 'priority'"),
        ("huey+redis://localhost?priority=10", ConfigurationError, "yes, no"),
        ("huey+redis://localhost?serializer=yaml", ConfigurationError, "json, pickle"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, error: type[Exception], words: str) -> None:
    taskbridge.configure(url)
    with pytest.raises(error, match=words):
        note.enqueue("k")


def test_an_unknown_alias_is_refused_with_the_nearest() -> None:
    taskbridge.configure(backends={"default": "memory://", "bulk": "memory://"})
    with pytest.raises(UnknownBackend, match="Did you mean 'bulk'"):
        note.using(backend="bluk").enqueue("k")


def test_an_unknown_queue_is_refused_with_the_nearest() -> None:
    taskbridge.configure("memory://", queues=("default", "mail"))
    with pytest.raises(ConfigurationError, match=r"'mial'.*Did you mean 'mail'"):
        note.using(queue_name="mial").enqueue("k")


@pytest.mark.parametrize("engine", ["dramatiq", "rq", "huey"])
def test_a_refusal_names_option_task_backend_and_reason_and_no_password(engine: str) -> None:
    taskbridge.configure(f"{engine}+{NOWHERE}")
    record = router.backend().capabilities
    asked: dict[str, dict[str, Any]] = {
        "priority": {"priority": 7},
        "at_least_once": {"delivery": "at_least_once"},
        "at_most_once": {"delivery": "at_most_once"},
    }
    refused = [option for option in asked if getattr(record, option).is_refused]
    assert refused, "there is no order but age in their lists"
    for option in refused:
        with pytest.raises(UnsupportedFeature) as caught:
            note.using(**asked[option]).enqueue("k")
        text = str(caught.value)
        assert next(iter(asked[option])) in text
        assert note.name in text
        assert f"{engine}+redis://" in text
        assert getattr(record, option).note in text
        assert "hunter22" not in text


def test_strict_refuses_what_would_be_emulated() -> None:
    taskbridge.configure("huey+sqlite:///./queue.db?strict=yes")
    with pytest.raises(UnsupportedFeature, match=r"timeout.*emulated.*strict=yes"):
        note.using(timeout=timedelta(seconds=1)).enqueue("k")


@pytest.mark.parametrize("url", ["celery+amqp://127.0.0.1:1//", "dramatiq+amqp://127.0.0.1:1//"])
def test_effectively_once_is_refused_where_no_store_can_keep_its_key(url: str) -> None:
    taskbridge.configure(url)
    with pytest.raises(UnsupportedFeature, match=r"effectively_once.*store.*\?store=redis"):
        note.using(delivery="effectively_once", key="{key}").enqueue("k")


@pytest.mark.parametrize("option", ["run_after", "expires"])
def test_a_naive_datetime_is_refused(option: str) -> None:
    naive = datetime.now(UTC).replace(tzinfo=None)
    with pytest.raises(InvalidTask, match=f"{option}.*naive.*timezone"):
        note.using(**{option: naive})


def test_two_tasks_of_one_wire_name_are_refused() -> None:
    taskbridge.configure("memory://")
    task(name="bad_input.first", native={"memory": {"name": "clash"}})(lender)
    task(name="bad_input.second", native={"memory": {"name": "clash"}})(lender)
    from taskbridge.registry import registry

    with pytest.raises(InvalidTask, match=r"bad_input\.first.*bad_input\.second.*'clash'.*native"):
        registry.by_wire_name(router.backend())


def lender() -> None: ...


def test_an_engine_that_is_not_installed_ends_in_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] in ("taskbridge_celery", "celery", "kombu")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "celery", None)
    taskbridge.configure("celery+redis://localhost")
    with pytest.raises(BackendNotInstalled) as caught:
        note.enqueue("k")
    assert str(caught.value).endswith("pip install 'taskbridge[celery]'")
