"""The native message of django-tasks-db 0.13: one row of `DBTaskResult`.

Its `args_kwargs` is a JSON object of which a worker reads `args` and `kwargs`. Our headers are a third member, and
arguments that the column would change travel in a fourth, as the text that they are in JSON. Whoever recovers a job
from a dead worker counts that in a member of its own.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from taskbridge.errors import InvalidArguments, UndecodableMessage
from taskbridge.message import HEADER, Message, decode_headers, encode_headers
from taskbridge_django_tasks.jsonb import Fidelity

if TYPE_CHECKING:
    from collections.abc import Callable

ARGUMENTS: Final = "taskbridge_arguments"
"""The JSON text of `[args, kwargs]`."""

RETURNS: Final = "taskbridge_returns"
"""How often the row was put back without an outcome."""

AT_ONCE: Final = 9999
"""The year of `run_after` that means that the job may start at once."""

OPTIONS: Final = ("name",)
"""What `native={"django": {...}}` may hold."""


def to_native(
    message: Message,
    backend_name: str,
    /,
    *,
    column: Callable[[Any], Fidelity],
    is_for_stock_worker: bool = False,
    has_time_zones: bool = True,
) -> dict[str, Any]:
    """The fields of the row that Django's own enqueue would write for this job.

    `column` tells what the database makes of JSON values, and `has_time_zones` is Django's USE_TZ.

    Raises:
        InvalidArguments: a value that would not arrive as it was sent, and a worker that reads only the native form.
    """
    fidelity = max(column(message.args), column(message.kwargs))
    if message.headers is None or is_for_stock_worker:
        _refuse_change(message.task, fidelity)
    content: dict[str, Any] = {"args": message.args, "kwargs": message.kwargs}
    if message.headers is not None:
        content[HEADER] = encode_headers(message.headers)
        if fidelity and not is_for_stock_worker:
            content[ARGUMENTS] = json.dumps([message.args, message.kwargs], ensure_ascii=False, separators=(",", ":"))
        if fidelity is Fidelity.IMPOSSIBLE:
            # A worker that knows only the native form must fail here rather than run with other arguments.
            content["args"] = content["kwargs"] = None
    return {
        "id": message.id,
        "args_kwargs": content,
        "priority": message.priority,
        "task_path": message.task,
        "queue_name": message.queue_name,
        "backend_name": backend_name,
        "run_after": native_moment(message.run_after, has_time_zones=has_time_zones),
    }


def from_native(row: Any, /) -> Message:
    """The job in a row.

    Raises:
        UndecodableMessage: its `args_kwargs` is no call, or its headers are not ours.
    """
    content = row.args_kwargs
    try:
        headers = decode_headers(content[HEADER]) if HEADER in content else None
        args, kwargs = json.loads(content[ARGUMENTS]) if ARGUMENTS in content else (content["args"], content["kwargs"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UndecodableMessage(f"The args_kwargs of the row {row.pk} cannot be read: {error!r}") from error
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise UndecodableMessage(
            f"The args_kwargs of the row {row.pk} is no call: args is no list or kwargs no object."
        )
    return Message(
        id=str(row.pk),
        task=row.task_path,
        args=args,
        kwargs=kwargs,
        queue_name=row.queue_name,
        priority=row.priority,
        run_after=None if row.run_after.year == AT_ONCE else row.run_after.astimezone(UTC),
        headers=headers,
    )


class Returns(NamedTuple):
    """Executions that had no outcome. They are no attempts, although the row's list of workers counts them."""

    crashed: int = 0
    """Their worker died."""
    released: int = 0
    """Their worker left before the end, as it was asked to, or was not sure of its claim."""


def returns_of(content: dict[str, Any], /) -> Returns:
    """What the `args_kwargs` of a row say of it; none where they cannot be read."""
    try:
        return Returns(**{name: int(count) for name, count in content.get(RETURNS, {}).items()})
    except (TypeError, ValueError, AttributeError):
        return Returns()


def row_bytes(row: Any, /) -> bytes:
    """The native message of a row that cannot be run, to be kept."""
    fields = ("task_path", "args_kwargs", "priority", "queue_name", "backend_name")
    return json.dumps({"id": str(row.pk), **{field: getattr(row, field) for field in fields}}).encode()


def native_moment(moment: datetime | None, /, *, has_time_zones: bool) -> datetime:
    """`run_after` as the column has it: without USE_TZ, a naive local time."""
    if moment is None:
        return datetime(AT_ONCE, 1, 1, tzinfo=UTC if has_time_zones else None)
    return moment if has_time_zones else moment.astimezone().replace(tzinfo=None)


def _refuse_change(task: str, fidelity: Fidelity) -> None:
    # The order of keys is lost by every job on PostgreSQL that Django itself enqueues, and by JSON's own definition.
    if fidelity is Fidelity.CHANGED:
        raise InvalidArguments(
            f"The arguments of {task!r} hold a float that PostgreSQL would give back as an int (such as 1e16), or a "
            f"negative zero. A worker that is not ours would get it changed: send it as a str."
        )
    if fidelity is Fidelity.IMPOSSIBLE:
        raise InvalidArguments(
            f"The arguments of {task!r} hold a NUL character, which PostgreSQL's JSON cannot hold. Take it out, or "
            f"send the text as base64."
        )
