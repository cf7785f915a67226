"""What stands in a broker of ours in the place of Dramatiq's default middleware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dramatiq.middleware import AgeLimit, Callbacks, CurrentMessage, Pipelines, ShutdownNotifications

if TYPE_CHECKING:
    from dramatiq.middleware import Middleware


def neutral_middleware() -> list[Middleware]:
    """What Dramatiq adds by default, without its retries and its time limit, which TaskBridge owns."""
    return [AgeLimit(), ShutdownNotifications(), Callbacks(), Pipelines(), CurrentMessage()]
