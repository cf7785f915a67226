"""The native message of RQ 2.12: a Redis hash `rq:job:ID`, and the job's id in the list or sorted set of its queue.

Its `data` is the compressed, serialized call and its `meta` a serialized dictionary, in which a stock worker reads
nothing: our headers are one string there.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from rq.exceptions import DeserializationError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from taskbridge.errors import UndecodableMessage, UnsupportedFeature
from taskbridge.message import HEADER, UNREADABLE, Message, checked, decode_headers, encode_headers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from redis.typing import FieldT
    from rq.serializers import Serializer

RESULT_SECONDS: Final = 500
"""How long a finished job stays visible; RQ's own default."""

FAILURE_SECONDS: Final = 365 * 24 * 3600
"""How long a failed job can be put back; RQ's own default."""

NO_TIMEOUT: Final = -1
QUEUED: Final[str] = JobStatus.QUEUED.value
SCHEDULED: Final[str] = JobStatus.SCHEDULED.value

OPTIONS: Final = ("name", "description", "result_ttl", "failure_ttl")
"""What `native={"rq": {...}}` may hold."""


def to_native(
    message: Message, serializer: Serializer, now: datetime, /, *, meta: Mapping[str, Any] | None = None
) -> dict[FieldT, FieldT]:
    """The hash that RQ's own enqueue would write for this job.

    `meta` is what stands beside our headers. The description, which RQ prints and shows, names the task without its
    arguments.

    Raises:
        UnsupportedFeature: a native option that would change what TaskBridge promises, or that RQ does not have.
    """
    native = message.native
    if unknown := native.keys() - set(OPTIONS):
        raise UnsupportedFeature(
            f"The native options of {message.task!r} name {', '.join(sorted(unknown))}; only {', '.join(OPTIONS)} are "
            f"carried. Enqueue jobs with callbacks, dependencies or RQ's own retries through RQ itself."
        )
    call = (message.task, None, _arguments(message.args, serializer), message.kwargs)
    enqueued_at = _shown(now)
    fields: dict[FieldT, FieldT] = {
        "created_at": enqueued_at,
        "data": zlib.compress(serializer.dumps(call)),
        "success_callback_name": "",
        "failure_callback_name": "",
        "stopped_callback_name": "",
        "started_at": "",
        "ended_at": "",
        "last_heartbeat": "",
        "worker_name": "",
        "group_id": "",
        "origin": message.queue_name,
        "description": native.get("description", message.task),
        "timeout": NO_TIMEOUT,
        "result_ttl": native.get("result_ttl", RESULT_SECONDS),
        "failure_ttl": native.get("failure_ttl", FAILURE_SECONDS),
        "status": QUEUED if message.run_after is None else SCHEDULED,
    }
    if message.run_after is None:
        fields["enqueued_at"] = enqueued_at
    if message.headers is not None:
        meta = {**(meta or {}), HEADER: encode_headers(message.headers)}
    if meta:
        fields["meta"] = serializer.dumps(meta)
    return fields


def from_native(job: Job, /) -> Message:
    """The job in a native message, as RQ restored it from its hash.

    Raises:
        UndecodableMessage: it holds no call of a function by name, or its headers are not ours.
    """
    try:
        name, instance, args, kwargs = job.func_name, job.instance, job.args, job.kwargs
    except DeserializationError as error:
        raise UndecodableMessage(
            f"The RQ job {job.id} cannot be read by the worker's serializer; a job that was pickled needs "
            f"?serializer=pickle in the backend's URL."
        ) from error
    is_call = isinstance(name, str) and isinstance(args, list | tuple) and isinstance(kwargs, dict)
    if not is_call or instance is not None:
        raise UndecodableMessage(f"The RQ job {job.id} is no call of a function by its name.")
    headers = job.meta.get(HEADER) if isinstance(job.meta, dict) else None
    try:
        decoded = decode_headers(headers) if headers is not None else None
    except UNREADABLE as error:
        raise UndecodableMessage(f"The headers of the RQ job {job.id} cannot be read: {error}") from error
    return checked(
        Message(
            id=job.id,
            task=str(name),
            args=list(args),
            kwargs=dict(kwargs),
            queue_name=job.origin,
            headers=decoded,
        )
    )


@lru_cache(maxsize=8)  # many jobs are enqueued at one moment
def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _arguments(args: list[Any], serializer: Serializer) -> list[Any] | tuple[Any, ...]:
    return args if serializer is JSONSerializer else tuple(args)
