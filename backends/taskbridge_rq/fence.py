"""What an execution may write only while it holds its job: its outcome.

A worker that was paused for longer than its lease finds, when it goes on, that its job runs elsewhere. RQ would let it
file the job as finished or failed over the head of that other worker, and delete its record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.client import Pipeline

from taskbridge_rq.scripts import IF_HELD

if TYPE_CHECKING:
    from collections.abc import Sequence


class LeaseLost(Exception):
    """The job of this execution was given to somebody else."""


class FencedRedis(Redis):
    """A client of the same server, whose transactions happen only while an execution holds its job.

    The first that happens gives the job away, since that is what it is for: those that follow are no longer fenced.
    """

    def __init__(self, connection: Redis, *, registry: str, entry: str, also: Sequence[tuple[Any, ...]] = ()) -> None:
        """`also` are commands that the first transaction ends with."""
        super().__init__(connection_pool=connection.connection_pool)
        self.registry = registry
        self.entry = entry
        self.also = also
        self.is_settled = False

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """A transaction that raises `LeaseLost`, and does nothing, if the job is somebody else's."""
        fenced = FencedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        fenced.owner = self
        return fenced


class FencedPipeline(Pipeline):
    """Sends its commands as the arguments of one script, which looks first. A WATCH of the caller's counts as ever."""

    owner: FencedRedis

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Run all commands or none; their answers are not told."""
        owner, commands = self.owner, [words for words, _ in self.command_stack]
        if owner.is_settled or not commands:
            return super().execute(raise_on_error)
        arguments: list[Any] = []
        for words in (*commands, *owner.also):
            arguments += (len(words), *words)
        self.command_stack = []
        self.eval(IF_HELD, 1, owner.registry, owner.entry, *arguments)
        (is_held,) = super().execute(raise_on_error)
        if not is_held:
            raise LeaseLost(f"{owner.entry} was put back into its queue, and belongs to another worker")
        owner.is_settled = True
        return []
