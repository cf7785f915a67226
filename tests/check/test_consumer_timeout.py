"""RabbitMQ's own `consumer_timeout` against the one that TaskBridge counts on."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from taskbridge.check import consumer_timeout
from taskbridge.check.consumer_timeout import DEFAULT, consumer_timeout_findings, times_classic_queues
from taskbridge.services.rabbitmq import RabbitMQServer, rabbitmq_version
from tests.check.command import PATH, check

if TYPE_CHECKING:
    from pathlib import Path

    from taskbridge.check.finding import Finding
    from taskbridge.services import Server


def found(port: int, believed: timedelta, *, host: str = "127.0.0.1", version: str = "4.2.9") -> list[Finding]:
    return list(consumer_timeout_findings(host, port, version=version, believed=believed, remedy="State it."))


def test_a_server_that_can_be_asked_is_asked(rabbitmq_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(rabbitmq_server, RabbitMQServer)
    programs = rabbitmq_server.installation.programs["rabbitmqctl"].parent
    for name, value in rabbitmq_server._erlang_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RABBITMQ_NODENAME", rabbitmq_server.node)
    monkeypatch.setattr(consumer_timeout, "ANSWER_SECONDS", 120)
    assert found(rabbitmq_server.port, DEFAULT) == []
    (finding,) = found(rabbitmq_server.port, timedelta(hours=2))
    assert (finding.severity, finding.what) == ("warning", "it is 1800 s, and TaskBridge counts on 7200 s")
    (finding,) = found(rabbitmq_server.port + 1, DEFAULT)
    assert finding.severity == "note", "a node that does not listen on this port is another server"


@pytest.mark.parametrize("answer", ["{true,60000}", "{true,undefined}", "{false,60000}", "Error: unable to connect"])
def test_only_an_answer_of_this_server_is_believed(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "rabbitmqctl"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{PATH}")
    monkeypatch.delenv("RABBITMQ_NODENAME", raising=False)
    severities = [finding.severity for finding in found(5672, DEFAULT)]
    assert severities == {"{true,60000}": ["warning"], "{true,undefined}": []}.get(answer, ["note"])
    assert [finding.severity for finding in found(5672, DEFAULT, host="queue.internal")] == ["note"]


@pytest.mark.parametrize(
    ("version", "holds"),
    [("3.10.8", True), ("4.2.9", True), ("4.3.0-rc.1", False), ("4.3.6", False), ("10.0", False), ("unknown", True)],
)
def test_where_classic_queues_have_no_such_timeout_that_is_said(version: str, holds: bool) -> None:
    assert times_classic_queues(version) is holds
    if not holds:
        (finding,) = found(5672, timedelta(hours=2), version=version)
        assert finding.severity == "note"
        assert finding.what.startswith(f"RabbitMQ {version} has it for quorum queues alone")


@pytest.mark.parametrize(("scheme", "query"), [("celery+", "?consumer_timeout=7200"), ("dramatiq+", "")])
def test_what_is_believed_of_a_server_that_cannot_be_asked_is_said(
    scheme: str, query: str, amqp_url: str, tmp_path: Path
) -> None:
    _, findings = check(tmp_path, f"{scheme}{amqp_url}{query}")
    (finding,) = [finding for finding in findings if finding["about"].startswith("consumer_timeout of RabbitMQ")]
    version = rabbitmq_version(amqp_url)
    believed = f"believed to be {7200 if query else 1800} s"
    assert (believed if times_classic_queues(version) else f"RabbitMQ {version} has it") in finding["what"]
