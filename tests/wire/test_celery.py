"""Celery's native message: what we write is what Celery writes, and what Celery writes is what we read."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from kombu.utils.json import loads

from taskbridge.errors import InvalidArguments, UndecodableMessage, UnsupportedFeature
from taskbridge.message import Headers, Message, decode_headers
from taskbridge.settings import parse_url
from taskbridge_celery import CeleryBackend, priority
from taskbridge_celery.encoding import encode_body
from taskbridge_celery.wire import from_native, to_native, to_native_worker
from tests.wire.record_celery import (
    ARGS,
    EXPIRES,
    HEADERS,
    JOB_ID,
    KWARGS,
    RUN_AFTER,
    TYPED,
    comparable,
    element,
    load,
    write,
)

if TYPE_CHECKING:
    from taskbridge.services import Server

each_case = pytest.mark.parametrize("case", ["plain", "delayed", "typed"])


def message(case: str = "plain", *, native: dict[str, Any] | None = None) -> Message:
    is_typed = case == "typed"
    return Message(
        id=JOB_ID,
        task="shop.receipt",
        args=list(TYPED if is_typed else ARGS),
        kwargs={} if is_typed else dict(KWARGS),
        queue_name="mail",
        run_after=RUN_AFTER if case == "delayed" else None,
        headers=Headers(expires=EXPIRES) if is_typed else decode_headers(HEADERS),
        native=native or {},
    )


@each_case
def test_what_we_write_is_what_is_recorded_and_what_the_installed_celery_writes(
    case: str, redis_server: Server
) -> None:
    theirs, ours = redis_server.fresh_url(), redis_server.fresh_url()
    workers = "?workers=native" if case == "typed" else ""
    backend = CeleryBackend(parse_url(f"celery+{ours}{workers}"))
    backend.enqueue([message(case)])
    backend.close()
    written = comparable(element(ours))
    assert written == comparable(load(case))
    assert written == comparable(write(theirs, case))


def test_a_later_attempt_that_comes_from_the_store_keeps_its_number() -> None:
    later = message()
    assert later.headers is not None
    later.headers.attempt = 3
    assert to_native(later).headers["retries"] == 2


def test_arguments_are_shown_as_celery_shows_them() -> None:
    shown = json.loads(load("plain"))["headers"]["argsrepr"]
    assert to_native(message()).headers["argsrepr"] == shown
    job = message()
    job.args = ["x" * 10_000]
    assert len(to_native(job).headers["argsrepr"]) < 1100


@pytest.mark.parametrize("case", ["plain", "delayed"])
def test_a_recorded_message_reads_as_the_job(case: str) -> None:
    recorded = json.loads(load(case))
    args, kwargs, _ = json.loads(base64.b64decode(recorded["body"]))
    assert from_native(recorded["headers"], args, kwargs, queue_name="mail") == message(case)


def test_a_message_without_our_headers_is_legacy() -> None:
    recorded = json.loads(load("typed"))
    args, kwargs, _ = loads(base64.b64decode(recorded["body"]))
    read = from_native(recorded["headers"], args, kwargs)
    assert read.headers is None
    assert read.args == TYPED


@pytest.mark.parametrize(
    "value",
    [
        {"__type__": "decimal", "__value__": "1"},
        {"__type__": "nonsense", "__value__": {"__type__": "bytes", "__value__": "é"}},
        [[{"deep": {"__type__": "uuid", "__value__": None}}], {"__type__": 1}],
        {"__type__": "decimal", "__value__": "1", "more": 2},
        "__type__",
        2**70,
    ],
)
def test_a_dict_that_looks_like_kombus_tags_arrives_as_it_was(value: Any) -> None:
    job = message()
    job.args = [value]
    native = to_native(job)
    args, kwargs, _ = loads(encode_body(native.body))
    assert from_native(native.headers, args, kwargs).args == [value]


def test_a_dict_that_looks_like_kombus_tags_is_refused_for_native_workers() -> None:
    job = message()
    job.kwargs = {"price": [{"__type__": "decimal", "__value__": "1"}]}
    with pytest.raises(InvalidArguments, match="'__type__'"):
        to_native_worker(job)


def test_kombu_itself_still_changes_such_a_dict() -> None:
    # When this fails, upstream has mended it, and `encoding.py` need not wrap any longer.
    assert loads('{"__type__": "decimal", "__value__": "1"}') == Decimal(1)


@pytest.mark.parametrize("text", ["[]", "{", 7])
def test_headers_that_are_not_ours_are_undecodable(text: Any) -> None:
    with pytest.raises(UndecodableMessage, match="headers"):
        from_native({"id": "1", "task": "x", "taskbridge": text}, [], {})


def test_native_options_are_carried_or_refused_by_name() -> None:
    assert to_native(message(native={"soft_time_limit": 5})).headers["timelimit"] == [None, 5]
    with pytest.raises(UnsupportedFeature, match="link"):
        to_native(message(native={"link": "other"}))


def test_priorities_keep_their_order() -> None:
    every = range(-100, 101)
    steps = [priority.redis_step(each) for each in every]
    assert steps == sorted(steps, reverse=True)
    assert set(steps) == set(priority.REDIS_STEPS)
    levels = [priority.amqp_level(each, 10) for each in every]
    assert levels == sorted(levels)
    assert (levels[0], levels[100], levels[-1]) == (0, 5, 10)


def test_an_app_of_our_own_does_not_become_the_current_one(redis_url: str) -> None:
    from celery import current_app

    before = current_app._get_current_object()
    backend = CeleryBackend(parse_url(f"celery+{redis_url}"))
    assert current_app._get_current_object() is before
    assert isinstance(backend.app, Celery)
