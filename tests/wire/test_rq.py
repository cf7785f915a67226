"""RQ's native message: what we write is what RQ writes, and what RQ writes is what we read."""

from __future__ import annotations

import json
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer, PickleSerializer

from taskbridge.errors import UndecodableMessage, UnsupportedFeature
from taskbridge.message import Message, decode_headers
from taskbridge.settings import parse_url
from taskbridge_rq import RQBackend
from taskbridge_rq.wire import from_native, to_native
from tests.wire.record_rq import ARGS, HEADERS, JOB_ID, KWARGS, NOW, RUN_AFTER, dump, fields, load, write

if TYPE_CHECKING:
    from rq.serializers import Serializer

    from taskbridge.services import Server

SERIALIZERS: dict[str, Serializer] = {"json": JSONSerializer, "pickle": PickleSerializer}
NOWHERE = Redis(port=1)

each_serializer = pytest.mark.parametrize("serializer", ["json", "pickle"])
each_state = pytest.mark.parametrize("state", ["queued", "scheduled"])


def message(*, is_scheduled: bool = False, native: dict[str, Any] | None = None) -> Message:
    return Message(
        id=JOB_ID,
        task="shop.receipt",
        args=list(ARGS),
        kwargs=dict(KWARGS),
        queue_name="mail",
        run_after=RUN_AFTER if is_scheduled else None,
        headers=decode_headers(HEADERS),
        native=native or {},
    )


def restored(serializer: str, hash_fields: dict[bytes, bytes]) -> Job:
    job = Job(JOB_ID, connection=NOWHERE, serializer=serializer)
    job.restore(hash_fields)
    return job


@each_serializer
@each_state
def test_the_hash_that_we_write_is_the_recorded_one(serializer: str, state: str) -> None:
    written = to_native(message(is_scheduled=state == "scheduled"), SERIALIZERS[serializer], NOW)
    ours = {
        str(key).encode(): value if isinstance(value, bytes) else str(value).encode() for key, value in written.items()
    }
    recorded = fields(load(f"{serializer}-{state}"))
    loads = SERIALIZERS[serializer].loads
    assert loads(zlib.decompress(ours.pop(b"data"))) == loads(zlib.decompress(recorded.pop(b"data")))
    assert loads(ours.pop(b"meta")) == loads(recorded.pop(b"meta"))
    assert ours == recorded


@each_serializer
def test_the_recorded_hash_reads_as_the_message(serializer: str) -> None:
    assert from_native(restored(serializer, fields(load(f"{serializer}-queued")))) == message()


@each_serializer
@each_state
def test_the_installed_rq_leaves_the_same_keys_behind(serializer: str, state: str, redis_server: Server) -> None:
    theirs, ours = redis_server.fresh_url(), redis_server.fresh_url()
    is_scheduled = state == "scheduled"
    write(Redis.from_url(theirs), serializer, is_scheduled=is_scheduled)
    backend = RQBackend(parse_url(f"rq+{ours}").with_options(serializer=serializer))
    backend.enqueue([message(is_scheduled=is_scheduled)])
    backend.close()
    dumps = [dump(Redis.from_url(url)) for url in (theirs, ours)]
    for each in dumps:
        for field in ("created_at", "enqueued_at", "meta", "data"):
            each[f"rq:job:{JOB_ID}"].pop(field, None)
    assert dumps[0] == dumps[1]


def test_a_moment_between_two_seconds_is_scheduled_for_the_later_one(redis_url: str) -> None:
    backend = RQBackend(parse_url(f"rq+{redis_url}"))
    job = message()
    job.run_after = RUN_AFTER + timedelta(milliseconds=1)
    backend.enqueue([job])
    backend.close()
    assert Redis.from_url(redis_url).zscore("rq:scheduled:mail", JOB_ID) == RUN_AFTER.timestamp() + 1


def test_a_pickled_job_is_not_unpickled_by_a_json_worker() -> None:
    with pytest.raises(UndecodableMessage, match=r"\?serializer=pickle"):
        from_native(restored("json", fields(load("pickle-queued"))))


@pytest.mark.parametrize("call", [[1, None, [], {}], ["shop.receipt", None, {}, []], ["shop.receipt", "x", [], {}]])
def test_what_is_no_call_by_name_is_undecodable(call: list[Any]) -> None:
    with pytest.raises(UndecodableMessage, match="no call of a function by its name"):
        from_native(restored("json", {b"data": json.dumps(call).encode()}))


def test_headers_that_are_not_ours_are_undecodable() -> None:
    job = restored("json", fields(load("json-queued")) | {b"meta": b'{"taskbridge": "[]"}'})
    with pytest.raises(UndecodableMessage, match="headers"):
        from_native(job)


def test_native_options_are_carried_or_refused_by_name() -> None:
    assert to_native(message(native={"result_ttl": 60}), JSONSerializer, NOW)["result_ttl"] == 60
    with pytest.raises(UnsupportedFeature, match="depends_on"):
        to_native(message(native={"depends_on": "other"}), JSONSerializer, NOW)
