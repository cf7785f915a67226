"""The native message of django-tasks-rq: RQ's, with the callbacks and the meta of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

from redis import Redis
from rq.job import Job
from rq.serializers import PickleSerializer

from taskbridge.message import Message
from taskbridge_django_tasks.rq import Queue
from taskbridge_rq.wire import from_native
from tests.wire.record_rq import ARGS, GOLDEN, JOB_ID, KWARGS, NOW

if TYPE_CHECKING:
    from taskbridge.services import Server

NOWHERE = Redis(port=1)
OURS = {
    "description": b"shop.receipt",
    "timeout": b"-1",
    "result_ttl": b"500",
    "failure_ttl": b"31536000",
}
"""What we say otherwise: no arguments in logs, no limit of RQ's, and how long a job is kept."""


def recorded() -> dict[str, Any]:
    path = GOLDEN / "django-tasks-rq-0.12.0" / "pickle-queued.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def fields() -> dict[str, bytes]:
    return {key: value.encode("latin-1") for key, value in recorded()[f"rq:job:{JOB_ID}"].items()}


def message() -> Message:
    return Message(id=JOB_ID, task="shop.receipt", args=list(ARGS), kwargs=dict(KWARGS), queue_name="mail")


def test_the_hash_for_a_stock_worker_is_the_recorded_one_but_for_what_we_say() -> None:
    queue = Queue(NOWHERE, alias="default", has_native_workers=True, serializer="pickle")
    ours = {
        str(key): value if isinstance(value, bytes) else str(value).encode()
        for key, value in queue.fields(message(), NOW).items()
    }
    theirs = fields() | OURS
    loads = PickleSerializer.loads
    assert loads(zlib.decompress(ours.pop("data"))) == loads(zlib.decompress(theirs.pop("data")))
    assert ours == theirs


def test_the_recorded_hash_reads_as_the_message() -> None:
    job = Job(JOB_ID, connection=NOWHERE, serializer="pickle")
    job.restore({key.encode(): value for key, value in fields().items()})
    assert from_native(job) == message()


def test_the_installed_version_writes_what_is_recorded(redis_server: Server) -> None:
    argv = [sys.executable, "-m", "tests.wire.record_django_rq", redis_server.fresh_url()]
    written = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=50).stdout)
    known = recorded()
    calls = [
        PickleSerializer.loads(zlib.decompress(each[f"rq:job:{JOB_ID}"].pop("data").encode("latin-1")))
        for each in (written, known)
    ]
    assert calls[0] == calls[1]
    assert written == known
