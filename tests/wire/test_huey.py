"""Huey's native message: what we write is what Huey writes, and what Huey writes is what we read."""

from __future__ import annotations

import contextlib
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from huey.registry import Message as HueyMessage
from hypothesis import given
from hypothesis import strategies as st

from taskbridge.errors import UndecodableMessage
from taskbridge.message import Message, decode_headers
from taskbridge.settings import parse_url
from taskbridge_huey import HueyBackend
from taskbridge_huey.serializer import JSONSerializer, PickleSerializer
from taskbridge_huey.wire import Arguments, from_native, to_native, to_stock
from tests.wire.record_huey import ARGS, JOB_ID, KWARGS, NOW, PRIORITY, RUN_AFTER, STORAGES, dump, load, write

if TYPE_CHECKING:
    from huey.serializer import Serializer

HEADERS = (
    '{"enqueued_at":"2026-03-01T12:30:15.250000Z","expires":"2026-03-01T14:00:00Z","metadata":{"tenant":"zürich"}}'
)
OUR_JSON = (
    '{"id":"0199c0de-0000-7000-8000-000000000001","name":"shop.receipt","retries":0,"retry_delay":0,"priority":7,'
    '"kwargs":{"note":"a\u2028b","when":"2026-03-01T12:00:00Z"},"retry_backoff":0,'
    '"args":[42,"Zoë\\ntaskbridge:{",null,{"items":[1,2.5,true]}],"eta":"2026-03-01T13:00:00.500000",'
    f'"taskbridge":{json.dumps(HEADERS, ensure_ascii=False)}}}'
)
SERIALIZERS: dict[str, Serializer] = {"json": JSONSerializer(), "pickle": PickleSerializer()}
DEFAULTS = {"retries": None, "retry_delay": None, "retry_backoff": None}
"""What Huey's producer copies from the task into the message, and we leave to the worker's own task."""

each_storage = pytest.mark.parametrize("storage", STORAGES)
each_serializer = pytest.mark.parametrize("serializer", SERIALIZERS)


def message(*, has_priority: bool = True) -> Message:
    return Message(
        id=JOB_ID,
        task="shop.receipt",
        args=list(ARGS),
        kwargs=dict(KWARGS),
        queue_name="mail",
        priority=PRIORITY if has_priority else 0,
        run_after=RUN_AFTER,
        headers=decode_headers(HEADERS),
    )


def split(data: bytes, storage: str) -> tuple[bytes, bytes]:
    """The time in front of a member of the sorted set, and the message."""
    return (data[:8], data[8:]) if storage == "priority" else (b"", data)


def location(storage: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if storage == "sqlite":
        return str(folder / "queue.db")
    return str(request.getfixturevalue("redis_server").fresh_url())


@each_storage
@pytest.mark.parametrize("is_batch", [False, True])
def test_what_we_store_for_native_workers_is_the_recorded_row(
    storage: str, *, is_batch: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    where = location(storage, request, tmp_path)
    url = f"huey+sqlite:///{where}" if storage == "sqlite" else f"huey+{where}"
    options = {"workers": "native", "serializer": "pickle"} | ({"priority": "yes"} if storage == "priority" else {})
    backend = HueyBackend(parse_url(url).with_options(**options), queues=["mail"])
    job = message(has_priority=storage != "redis")
    with patch("huey.storage.time.time", lambda: NOW):
        backend.enqueue([job, job] if is_batch else [job])
    ((place, turn, data), *more) = dump(backend.instance("mail"))
    backend.close()
    ((recorded_place, recorded_turn, recorded),) = load(storage)
    assert (place, turn, len(more)) == (recorded_place, recorded_turn, int(is_batch))
    (moment, ours), (recorded_moment, theirs) = split(data, storage), split(recorded, storage)
    assert moment == recorded_moment
    assert pickle.loads(ours) == pickle.loads(theirs)._replace(**DEFAULTS)
    assert ours.endswith(b"."), "nothing of ours stands behind the pickle"


@each_storage
def test_the_installed_huey_writes_what_is_recorded(
    storage: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    where = location(storage, request, tmp_path)
    huey = STORAGES[storage]("mail", **({"filename": where} if storage == "sqlite" else {"url": where}))
    write(huey, has_priority=storage != "redis")
    ((place, turn, data),), ((recorded_place, recorded_turn, recorded),) = dump(huey), load(storage)
    huey.storage.close()
    assert (place, turn) == (recorded_place, recorded_turn)
    (moment, now), (recorded_moment, then) = split(data, storage), split(recorded, storage)
    assert (moment, pickle.loads(now)) == (recorded_moment, pickle.loads(then))


@each_storage
def test_the_recorded_message_reads_as_the_job_without_our_headers(storage: str) -> None:
    ((_, _, recorded),) = load(storage)
    _, data = split(recorded, storage)
    expected = message(has_priority=storage != "redis")
    expected.headers = None
    read = from_native(SERIALIZERS["pickle"].deserialize(data), "mail")
    assert read == expected
    assert read.args == ARGS


def test_our_own_form_is_json_with_the_names_of_hueys_fields() -> None:
    assert SERIALIZERS["json"].serialize(to_native(message())).decode() == OUR_JSON
    assert from_native(SERIALIZERS["json"].deserialize(OUR_JSON.encode()), "mail") == message()


def test_our_headers_stand_behind_a_pickle_that_huey_reads_as_its_own() -> None:
    data = SERIALIZERS["pickle"].serialize(to_native(message()))
    stock = pickle.loads(data)
    assert type(stock.args) is tuple
    assert stock == to_stock(message())._replace(
        retries=0, retry_delay=0, retry_backoff=0, expires=None, expires_resolved=None
    )
    assert data.endswith(HEADERS.encode())
    assert from_native(SERIALIZERS["pickle"].deserialize(data), "mail") == message()


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.just("\ntaskbridge:{}"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=8,
)
headers = st.none() | st.builds(lambda value: json.dumps({"metadata": {"a": value}}, ensure_ascii=False), plain)


@each_serializer
@given(args=st.lists(plain), kwargs=st.dictionaries(st.text(max_size=3), plain), headers=headers)
def test_a_message_comes_back_with_its_headers_or_without_any(
    serializer: str, args: list[Any], kwargs: dict[str, Any], headers: str | None
) -> None:
    codec = SERIALIZERS[serializer]
    sent = HueyMessage(id="1", name="shop.receipt", args=Arguments(args, headers), kwargs=kwargs)
    received = codec.deserialize(codec.serialize(sent))
    assert received == sent
    assert received.args.headers == headers


@given(data=st.binary())
def test_bytes_of_any_kind_are_a_message_or_undecodable(data: bytes) -> None:
    with contextlib.suppress(UndecodableMessage):
        SERIALIZERS["json"].deserialize(data)


@pytest.mark.parametrize(
    "text", ["[]", "7", '"value"', "{}", '{"args": "ab"}', '{"args": [], "kwargs": []}', '{"args": [], "eta": "soon"}']
)
def test_json_that_is_no_message_is_undecodable(text: str) -> None:
    with pytest.raises(UndecodableMessage, match="no Huey message in JSON"):
        SERIALIZERS["json"].deserialize(text.encode())


@pytest.mark.parametrize("slot", ["[]", "no json", 7])
def test_headers_that_are_not_ours_are_undecodable(slot: Any) -> None:
    with pytest.raises(UndecodableMessage, match="headers of the Huey task 1"):
        from_native(HueyMessage(id="1", name="shop.receipt", args=Arguments((), slot)), "mail")


@pytest.mark.parametrize(("job_id", "name"), [("\ud800", "shop.receipt"), ("1", "shop.\udfff")])
def test_an_id_or_a_name_that_no_store_could_keep_is_undecodable(job_id: str, name: str) -> None:
    with pytest.raises(UndecodableMessage, match="no job"):
        from_native(HueyMessage(id=job_id, name=name, args=Arguments((), None)), "mail")
