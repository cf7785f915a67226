"""A producer's connection: kept, given up when the server closes it, and never shared with a child."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from redis import Redis, exceptions

from taskbridge.brokers.redis import Sender, producer_pool
from taskbridge.settings import parse_url

FORKING = """
import os, sys
from taskbridge.brokers.redis import Sender, producer_pool
from taskbridge.settings import parse_url

sender = Sender(producer_pool(parse_url(sys.argv[1])))
parent = sender.send("CLIENT", "ID")
child = os.fork()
if child == 0:
    os._exit(0 if sender.send("CLIENT", "ID") != parent else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child writes on its parent's connection"
assert sender.send("CLIENT", "ID") == parent
"""


def open_sender(redis_url: str) -> Sender:
    return Sender(producer_pool(parse_url(f"huey+{redis_url}")))


def test_one_connection_serves_one_command_after_another(redis_url: str) -> None:
    sender = open_sender(redis_url)
    assert len({sender.send("CLIENT", "ID") for _ in range(5)}) == 1


def test_a_connection_that_the_server_closed_is_replaced_without_an_error(redis_url: str) -> None:
    sender = open_sender(redis_url)
    was = sender.send("CLIENT", "ID")
    with Redis.from_url(redis_url) as other:
        other.client_kill_filter(_id=was)
    assert sender.send("CLIENT", "ID") != was


def test_a_refused_command_leaves_the_connection_in_use(redis_url: str) -> None:
    sender = open_sender(redis_url)
    was = sender.send("CLIENT", "ID")
    with pytest.raises(exceptions.ResponseError, match="unknown command"):
        sender.send("NOSUCHCOMMAND")
    assert sender.send("CLIENT", "ID") == was


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_opens_a_connection_of_its_own(redis_url: str) -> None:
    subprocess.run([sys.executable, "-c", FORKING, f"huey+{redis_url}"], check=True, timeout=40)
