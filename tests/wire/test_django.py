"""The row of django-tasks-db: what we write is what it writes, and what it writes is what we read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from taskbridge.errors import InvalidArguments, UndecodableMessage
from taskbridge.message import Message, decode_headers
from taskbridge_django_tasks.jsonb import Fidelity, through_jsonb, through_text
from taskbridge_django_tasks.wire import ARGUMENTS, from_native, to_native
from tests.wire.record_django import ARGS, CASES, HEADERS, JOB_ID, KWARGS, load, recorded_now

VARYING = ("id", "enqueued_at")


def message(case: str, *, has_headers: bool = False) -> Message:
    options = CASES[case]
    return Message(
        id=JOB_ID,
        task="shop.receipt",
        args=list(ARGS),
        kwargs=dict(KWARGS),
        queue_name=options.get("queue_name", "default"),
        priority=options.get("priority", 0),
        run_after=options.get("run_after"),
        headers=decode_headers(HEADERS) if has_headers else None,
    )


def row(case: str, **changes: Any) -> Any:
    """A recorded row, as Django's model reads it."""
    columns = load(case)
    columns["args_kwargs"] = json.loads(columns["args_kwargs"])
    columns["run_after"] = datetime.fromisoformat(columns["run_after"]).replace(tzinfo=UTC)
    return SimpleNamespace(**{**columns, "pk": JOB_ID, **changes})


@pytest.mark.parametrize("case", CASES)
def test_the_row_that_we_write_is_the_recorded_one(case: str) -> None:
    written = to_native(message(case), "default", column=through_text)
    recorded = row(case)
    assert written == {name: getattr(recorded, name) for name in written if name != "id"} | {"id": JOB_ID}


@pytest.mark.parametrize("case", CASES)
def test_the_recorded_row_reads_as_the_message(case: str) -> None:
    assert from_native(row(case)) == message(case)


@pytest.mark.parametrize("case", CASES)
def test_headers_are_one_member_more(case: str) -> None:
    written = to_native(message(case, has_headers=True), "default", column=through_text)
    bare = to_native(message(case), "default", column=through_text)
    assert written["args_kwargs"] == {**bare["args_kwargs"], "taskbridge": HEADERS}
    assert from_native(row(case, args_kwargs=written["args_kwargs"])) == message(case, has_headers=True)


def test_the_installed_library_writes_what_was_recorded() -> None:
    for case, columns in recorded_now().items():
        recorded = load(case)
        assert {name: value for name, value in columns.items() if name not in VARYING} == {
            name: value for name, value in recorded.items() if name not in VARYING
        }


@pytest.mark.parametrize(
    ("value", "fidelity"),
    [
        (1, Fidelity.EXACT),
        (2**200, Fidelity.EXACT),
        (0.1, Fidelity.EXACT),
        (1e-7, Fidelity.EXACT),
        (1.0, Fidelity.EXACT),
        (1e15, Fidelity.EXACT),
        (1e16, Fidelity.CHANGED),
        (-1e300, Fidelity.CHANGED),
        (-0.0, Fidelity.CHANGED),
        ("text", Fidelity.EXACT),
        ("\0", Fidelity.IMPOSSIBLE),
        ({}, Fidelity.EXACT),
        ({"a": 1, "b": 2, "aa": 0}, Fidelity.EXACT),
        ({"b": 1, "a": 2}, Fidelity.REORDERED),
        ({"aa": 1, "b": 2}, Fidelity.REORDERED),
        ({"\0": 1}, Fidelity.IMPOSSIBLE),
        ([[{"b": 1, "a": [-0.0]}]], Fidelity.CHANGED),
        ([], Fidelity.EXACT),
        (None, Fidelity.EXACT),
        (True, Fidelity.EXACT),
    ],
)
def test_what_jsonb_makes_of_a_value(value: Any, fidelity: Fidelity) -> None:
    assert through_jsonb(value) is fidelity


def test_what_the_column_cannot_hold_travels_as_text_and_a_stock_worker_must_fail() -> None:
    sent = message("plain", has_headers=True)
    sent.args = ["nul \0", 1e16]
    written = to_native(sent, "default", column=through_jsonb)["args_kwargs"]
    assert written["args"] is None
    assert json.loads(written[ARGUMENTS]) == [sent.args, sent.kwargs]
    assert from_native(row("plain", args_kwargs=written)) == sent


@pytest.mark.parametrize("value", ["\0", 1e16])
def test_a_stock_worker_is_not_sent_what_it_would_get_changed(value: Any) -> None:
    sent = message("plain", has_headers=True)
    sent.args = [value]
    with pytest.raises(InvalidArguments, match=r"shop\.receipt"):
        to_native(sent, "default", column=through_jsonb, is_for_stock_worker=True)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "text",
        [],
        {},
        {"args": {}, "kwargs": {}},
        {"args": [], "kwargs": []},
        {"args": [], "kwargs": {}, "taskbridge": "no headers"},
        {"args": [], "kwargs": {}, "taskbridge": 1},
        {"args": [], "kwargs": {}, ARGUMENTS: "["},
        {"args": [], "kwargs": {}, ARGUMENTS: "[1, 2, 3]"},
        {"args": [], "kwargs": {}, ARGUMENTS: "[1, 2]"},
    ],
)
def test_what_is_no_call_is_undecodable(content: Any) -> None:
    with pytest.raises(UndecodableMessage, match=JOB_ID):
        from_native(row("plain", args_kwargs=content))
