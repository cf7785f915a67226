"""-100..100, larger sooner, to the numbers that each broker knows.

| TaskBridge | Redis (0 is served first) | RabbitMQ with `?priority=10` |
|---|---|---|
| 100 | 0 | 10 |
| 1 to 99 | 0 | 5 to 10, in proportion |
| 0 | 3 | 5 |
| -1 to -50 | 6 | 5 to 2, in proportion |
| -51 to -100 | 9 | 2 to 0, in proportion |

What legacy code enqueues without a priority counts as 0 in Celery: first on Redis, last on RabbitMQ.
"""

from __future__ import annotations

from typing import Final

REDIS_STEPS: Final = (0, 3, 6, 9)
"""Kombu's own: a stock worker listens to the lists of these four and to no others."""


def redis_step(priority: int, /) -> int:
    """The step of Kombu's Redis transport."""
    if priority > 0:
        return 0
    if priority == 0:
        return 3
    return 6 if priority >= -50 else 9


def amqp_level(priority: int, highest: int, /) -> int:
    """The level of a RabbitMQ queue with `x-max-priority` of `highest`."""
    return (priority + 100) * highest // 200


def from_redis_step(step: int, /) -> int:
    """The highest priority that becomes this step."""
    return {0: 100, 3: 0, 6: -1, 9: -51}.get(step, 0)


def from_amqp_level(level: int, highest: int, /) -> int:
    """The lowest priority that becomes this level, or nearly."""
    return min(100, -(-level * 200 // highest) - 100)
