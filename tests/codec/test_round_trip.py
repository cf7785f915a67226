from __future__ import annotations

import contextlib
import functools
import operator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from taskbridge.codec import Codec
from taskbridge.codec.signature import UNANNOTATED
from taskbridge.errors import InvalidArguments, UndecodableMessage
from tests.codec.oracle import same, through_json
from tests.codec.strategies import anything, declared, near, plain, typed, unions


def codec_of(annotation: Any) -> Codec:
    def task(value: Any) -> Any: ...

    if annotation is UNANNOTATED:
        task.__annotations__ = {}
    else:
        task.__annotations__ = {"value": annotation, "return": annotation}
    return Codec(task, name="shop.task")


def send(codec: Codec, value: Any) -> Any:
    wire = through_json(codec.encode((value,), {})[0])
    return codec.decode(wire, {})[0][0]


@given(typed)
@settings(max_examples=150)
def test_a_value_arrives_as_it_was_sent(case: tuple[Any, Any]) -> None:
    annotation, value = case
    codec = codec_of(annotation)
    arrived = send(codec, value)
    assert same(value, arrived), f"{value!r} arrived as {arrived!r}"
    assert same(value, codec.decode_result(through_json(codec.encode_result(value))))


@given(plain)
def test_plain_values_need_no_annotation(value: Any) -> None:
    assert same(value, send(codec_of(UNANNOTATED), value))
    assert same(value, send(codec_of(Any), value))
    assert same(value, send(codec_of(object), value))


@given(near | st.tuples(declared.map(operator.itemgetter(0)), anything))
@settings(max_examples=150)
def test_whatever_is_sent_arrives_unchanged_or_is_refused(case: tuple[Any, Any]) -> None:
    annotation, value = case
    codec = codec_of(annotation)
    try:
        arrived = send(codec, value)
    except InvalidArguments:
        return
    assert same(value, arrived), f"{value!r} arrived as {arrived!r}"


@given(anything)
def test_without_an_annotation_a_value_arrives_unchanged_or_is_refused(value: Any) -> None:
    codec = codec_of(UNANNOTATED)
    try:
        arrived = send(codec, value)
    except InvalidArguments:
        return
    assert same(value, arrived)


@given(unions, st.sampled_from([None, list]), anything)
@settings(max_examples=150)
def test_a_union_is_never_mistaken(members: list[Any], inside: Any, value: Any) -> None:
    union: Any = functools.reduce(operator.or_, (type(None) if member is None else member for member in members))
    codec = codec_of(list[union] if inside else union)
    sent = [value] if inside else value
    try:
        arrived = send(codec, sent)
    except InvalidArguments:
        return
    assert same(sent, arrived), f"{value!r} arrived as {arrived!r} through {union}"


@given(declared, plain)
def test_any_json_is_decoded_or_refused_as_undecodable(annotation: Any, wire: Any) -> None:
    with contextlib.suppress(UndecodableMessage):
        codec_of(annotation[0]).decode([wire], {})
