"""A RabbitMQ server that holds jobs, as far as a client can see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from taskbridge.check.finding import Finding, error, note, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ANSWER_SECONDS = 5.0
NOWHERE = "taskbridge.nowhere"
"""A routing key that leads to no queue."""

TWICE = 2
"""Under an alarm RabbitMQ confirms the first message of a connection, and then stops reading from it."""


class QueueState(NamedTuple):
    """What RabbitMQ says of a queue."""

    messages: int
    consumers: int


class Probe(Protocol):
    """A connection of the engine's own client. Nothing of it creates or changes a queue."""

    about: str

    def queue(self, name: str, /) -> QueueState | None:
        """None: there is no such queue."""
        ...

    def other_shape(self, name: str, /) -> str | None:
        """How an existing queue differs from the one that the engine would declare; None if it does not."""
        ...

    def publish_nowhere(self, *, timeout: float) -> str | None:
        """Publish to NOWHERE, TWICE, and wait for each confirmation; the problem, if one did not come."""
        ...


def amqp_findings(probe: Probe, queues: Sequence[str], /) -> Iterator[Finding]:
    """Alarms, and the shape and the consumers of the queues."""
    if (problem := probe.publish_nowhere(timeout=ANSWER_SECONDS)) is not None:
        yield error(
            probe.about,
            f"it does not take messages: {problem}",
            consequence="Enqueuing raises BrokerUnavailable after 5 s. Mostly an alarm: memory or disk.",
            remedy="Look at `rabbitmqctl list_alarms`; free disk or memory, or raise the watermark.",
        )
        return
    for name in queues:
        yield from _queue(probe, name)
    if (dead := probe.queue("taskbridge.dead")) is not None and dead.messages:
        yield note(
            "queue taskbridge.dead",
            f"it holds {dead.messages} dead letters",
            consequence="Each is a job that will not run again by itself; RabbitMQ deletes it after 30 days.",
            remedy="Look at the header taskbridge_dead of each, and move what is to run again back to its queue.",
        )


def _queue(probe: Probe, name: str) -> Iterator[Finding]:
    state = probe.queue(name)
    if state is None:
        return
    if (difference := probe.other_shape(name)) is not None:
        yield error(
            f"queue {name}",
            f"it exists in another shape: {difference}",
            consequence="Enqueuing and workers fail, since RabbitMQ does not change a queue.",
            remedy="Ask for the shape it has (?priority=), name another queue, or delete it once it is empty.",
        )
    if state.messages and not state.consumers:
        yield warning(
            f"queue {name}",
            f"{state.messages} messages wait, and nobody consumes",
            consequence="They wait until a worker serves the queue.",
            remedy=f"Start one: taskbridge worker -Q {name}.",
        )
