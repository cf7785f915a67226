"""Relays that are killed at a step: `python -m tests.outbox.killed STEP=URL ...`, each in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from taskbridge.outbox import Relay, open_outbox
from taskbridge.outbox import relay as relay_module
from taskbridge.router import find_adapter
from taskbridge.settings import parse_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.message import Message
    from taskbridge.outbox.table import Row

STEPS = ("taken", "recorded", "half sent", "sent", "deleted")
PLANTED = "deleted before it was sent"
"""What a relay must never do: the check has to see that it loses jobs."""


class Killed(Relay):
    """Dies in its first beat."""

    step = ""

    def _take(self) -> list[Row]:
        rows = super()._take()
        self._die_at("taken")
        return rows

    def _send(self, alias: str, batch: Sequence[tuple[Row, Message]]) -> None:
        if self.step == PLANTED:
            self._sent(batch)
            self._die_at(PLANTED)
        if self.step == "half sent":
            super()._send(alias, batch[: len(batch) // 2])
            self._die_at("half sent")
        if self.step == "recorded":
            setattr(relay_module, "hand_over", lambda *_: self._die_at("recorded"))  # noqa: B010 - what follows it
        super()._send(alias, batch)

    def _sent(self, batch: Sequence[tuple[Row, Message]]) -> None:
        self._die_at("sent")
        super()._sent(batch)
        self._die_at("deleted")

    def _die_at(self, step: str) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def relay(step: str, url: str) -> NoReturn:
    """Does not come back."""
    killed = Killed(open_outbox(url))
    killed.step = step
    killed.beat()
    os._exit(3)


def main(arguments: Sequence[str]) -> None:
    find_adapter(parse_url(os.environ["TASKBRIDGE_URL"]))  # imported once, not in each child
    children = []
    for argument in arguments:
        step, _, url = argument.partition("=")
        child = os.fork()
        if child == 0:
            relay(step, url)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    assert all(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL for status in statuses), statuses


if __name__ == "__main__":
    main(sys.argv[1:])
