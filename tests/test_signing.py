"""With signing keys a worker runs only what was signed with one of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

import taskbridge
from taskbridge.errors import ConfigurationError, UndecodableMessage
from taskbridge.identity import new_id
from taskbridge.message import Dead, Done, Headers, Message, decode_headers, encode_headers
from taskbridge.registry import registry
from taskbridge.router import router
from taskbridge.signing import KeyRing
from taskbridge.worker import Environment, Runner

OLD, NEW = f"old:{'o' * 40}", f"new:{'n' * 40}"
ran: list[str] = []


@taskbridge.task(name="signing.note")
def note(text: str) -> None:
    ran.append(text)


def ring(*keys: str, accepts_unsigned: bool = False) -> KeyRing:
    made = KeyRing.of(keys, accepts_unsigned=accepts_unsigned, origin="the test")
    assert made is not None
    return made


def signed(*keys: str) -> Message:
    headers = Headers(enqueued_at=datetime.now(UTC), expires=datetime.now(UTC) + timedelta(hours=1), metadata={"a": 1})
    message = Message(new_id(), "signing.note", ["text", 1e16, -0.0, "\ud800", {"b": 1, "a": [None]}], {"k": 2**70})
    message.headers = headers
    ring(*keys).sign(message)
    return sent(message)


def sent(message: Message) -> Message:
    """As it arrives after JSON, with its keys in another order, and as a retry changes it."""
    assert message.headers is not None
    args, kwargs = json.loads(json.dumps([message.args, message.kwargs], sort_keys=True))
    headers = decode_headers(encode_headers(message.headers))
    headers.attempt = 3
    return msgspec.structs.replace(message, args=args, kwargs=kwargs, headers=headers, run_after=datetime.now(UTC))


class LaterHeaders(Headers, omit_defaults=True):
    """Those of a later version."""

    colour: str = ""


def test_a_header_of_a_later_version_breaks_no_signature_until_it_is_used() -> None:
    message = signed(NEW)
    later = msgspec.convert(msgspec.to_builtins(message.headers), LaterHeaders)
    ring(NEW).check(msgspec.structs.replace(message, headers=later))
    later.colour = "green"
    with pytest.raises(UndecodableMessage, match="not that of its content"):
        ring(NEW).check(msgspec.structs.replace(message, headers=later))


def test_every_key_is_accepted_and_the_first_signs() -> None:
    ring(OLD, NEW).check(signed(NEW))
    ring(NEW, OLD).check(signed(OLD))
    assert signed(NEW, OLD).headers.signature.startswith("new:")  # type: ignore[union-attr]  # it has headers
    with pytest.raises(UndecodableMessage, match="key that this worker does not have"):
        ring(NEW).check(signed(OLD))


@pytest.mark.parametrize(
    "change",
    [
        {"id": new_id()},
        {"task": "signing.other"},
        {"queue_name": "admin"},
        {"args": ["other"]},
        {"kwargs": {}},
        {"headers.expires": None},
        {"headers.timeout": 0.0},
        {"headers.retry": {"attempts": 99}},
        {"headers.result": True},
        {"headers.at_most_once": True},
        {"headers.metadata": {"tenant": "another"}},
        {"headers.enqueued_at": None},
        {"headers.signature": f"new:{'A' * 43}"},
        {"headers.signature": "new:é"},
        {"headers.signature": "no such form"},
    ],
)
def test_whatever_was_signed_cannot_be_changed(change: dict[str, Any]) -> None:
    message = signed(NEW)
    for name, value in change.items():
        owner = message.headers if name.startswith("headers.") else message
        setattr(owner, name.removeprefix("headers."), value)
    with pytest.raises(UndecodableMessage):
        ring(NEW).check(message)


def test_a_worker_with_keys_refuses_what_is_not_signed_and_runs_what_is() -> None:
    environment = Environment(alias="default", registry=registry, open_store=lambda: None, signing_keys=ring(NEW))
    taskbridge.configure("memory://")
    runner = Runner(router.backend(), environment)
    message = Message(new_id(), "signing.note", ["a"], {}, headers=Headers())
    outcome = runner(message, attempt=1)
    assert isinstance(outcome, Dead)
    assert outcome.reason == "not signed"
    assert isinstance(runner(Message(new_id(), "signing.note", ["b"], {}), attempt=1), Dead), "nor a native one"
    ring(NEW).sign(message)
    assert isinstance(runner(message, attempt=1), Done)
    assert ran == ["a"]


def test_messages_without_a_signature_run_while_keys_are_introduced() -> None:
    ring(NEW, accepts_unsigned=True).check(Message(new_id(), "signing.note", [], {}))
    forged = signed(NEW)
    forged.args = []
    with pytest.raises(UndecodableMessage, match="not that of its content"):
        ring(NEW, accepts_unsigned=True).check(forged)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["nosecret"], "name:secret"),
        (["k1:hunter22"], "shorter than 32"),
        ([OLD, OLD], "two signing keys"),
        (["a b:" + "x" * 40], "name:secret"),
    ],
)
def test_a_key_that_cannot_serve_is_refused_without_showing_it(keys: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        taskbridge.configure("memory://", signing_keys=keys)
    assert keys[0].partition(":")[2] not in str(caught.value) or not keys[0].partition(":")[2]


def test_settings_do_not_show_a_secret() -> None:
    taskbridge.configure("memory://", signing_keys=[NEW])
    assert "n" * 40 not in repr(router.settings)
