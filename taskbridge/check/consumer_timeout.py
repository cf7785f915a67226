"""How long RabbitMQ lets a consumer hold a message: no client is told, but who administers the server may ask it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from taskbridge.check.finding import Finding, note, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT: Final = timedelta(minutes=30)
"""RabbitMQ's own."""
ANSWER_SECONDS = 20.0
_QUESTION: Final = (
    "{{lists:member({port}, [element(6, L) || L <- rabbit_networking:active_listeners()]), "
    "application:get_env(rabbit, consumer_timeout, undefined)}}."
)


def times_classic_queues(version: str, /) -> bool:
    """Whether RabbitMQ of this version has the timeout for classic queues, as those are that TaskBridge declares.

    True for an unknown version. From 4.3.0 on it is the business of queues, of which quorum queues mind it:
    https://www.rabbitmq.com/blog/2026/04/23/rabbitmq-4.3-release#consumer-timeouts
    """
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is None or (int(found[1]), int(found[2])) < (4, 3)


def consumer_timeout_findings(
    host: str, port: int, /, *, version: str, believed: timedelta, remedy: str
) -> Iterator[Finding]:
    """Compare what TaskBridge believes with what the server says. `remedy` says how to make them one.

    `version` is the server's, as it tells every client.
    """
    about = f"consumer_timeout of RabbitMQ at {host}:{port}"
    if not times_classic_queues(version):
        yield note(
            about,
            f"RabbitMQ {version} has it for quorum queues alone, and TaskBridge declares classic ones",
            consequence="A job is not taken from a worker that hangs, for as long as its connection lives.",
            remedy="Give tasks a timeout=. For quorum queues of your own it holds as before: rabbitmqctl environment.",
        )
        return
    told = _told(host, port)
    if told is None:
        yield note(
            about,
            f"believed to be {believed.total_seconds():g} s: no client can read it, and no rabbitmqctl here does",
            consequence="If the server's is shorter, a longer job is given out again while it runs.",
            remedy=f"Compare: rabbitmqctl environment. {remedy}",
        )
    elif told < believed:
        yield warning(
            about,
            f"it is {told.total_seconds():g} s, and TaskBridge counts on {believed.total_seconds():g} s",
            consequence="A job that runs for longer is given out again meanwhile, and its worker loses its channel.",
            remedy=remedy,
        )


def _told(host: str, port: int) -> timedelta | None:
    """What the node says that listens on this port; None if there is none that can be asked."""
    program = shutil.which("rabbitmqctl")
    is_near = host in ("localhost", "127.0.0.1", "::1", socket.gethostname()) or "RABBITMQ_NODENAME" in os.environ
    if program is None or not is_near:
        return None
    try:
        answer = subprocess.run(
            [program, "--quiet", "eval", _QUESTION.format(port=port)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\{true,\s*(\d+|[a-z]+)\}", answer)
    if found is None:
        return None
    return timedelta(milliseconds=int(found[1])) if found[1].isdigit() else timedelta.max
