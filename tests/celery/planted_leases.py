"""Bugs for a worker to have. What imports one of these environment variables' values must turn its test red."""

from __future__ import annotations

import os

from taskbridge_celery.redis_transport.keeper import Keeper
from taskbridge_celery.redis_transport.leases import Leases
from taskbridge_celery.redis_transport.qos import LeasedQoS

BUG = "TASKBRIDGE_TEST_BUG"

if os.environ.get(BUG):
    # None of these has the check before the body, which would hide it.
    Leases.is_ours = lambda self, tag, /: True  # type: ignore[method-assign]  # as the bugs below

match os.environ.get(BUG):
    case "forgotten renewal":
        Keeper._renew = lambda self: None  # type: ignore[method-assign]  # the bug
    case "early ack":
        append = LeasedQoS.append

        def early(self: LeasedQoS, message: object, delivery_tag: str) -> None:
            append(self, message, delivery_tag)
            self.ack(delivery_tag)

        LeasedQoS.append = early
    case "lease without a fence":
        wrapped = Leases.ack

        def unfenced(self: Leases, tag: str, /) -> None:
            self.client.delete(self.keys.unacked, self.keys.index)
            wrapped(self, tag)

        Leases.ack = unfenced  # type: ignore[method-assign]  # the bug
