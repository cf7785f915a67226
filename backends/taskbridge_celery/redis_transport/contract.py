"""What our transport needs of Kombu beyond its documentation, checked before a worker uses it."""

from __future__ import annotations

from types import CodeType
from typing import Any, Final

from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

NEEDED: Final[dict[str, tuple[Any, tuple[str, ...]]]] = {
    "Channel": (
        kombu_redis.Channel,
        (
            "_brpop_read", "_brpop_sent_at", "_brpop_start", "_closing", "_connparams", "_get_pool", "_in_poll",
            "_lookup", "active_queues", "async_pool", "basic_consume", "close", "global_keyprefix", "priority_steps",
            "sep", "unacked_index_key", "unacked_key",
        ),
    ),
    "MultiChannelPoller": (
        kombu_redis.MultiChannelPoller,
        (
            "_register", "_update_brpop_polling", "get", "maybe_restore_messages", "on_poll_init", "on_poll_start",
            "on_readable",
        ),
    ),
    "Transport": (kombu_redis.Transport, ("_deliver", "brpop_timeout", "register_with_event_loop")),
    "QoS": (virtual.QoS, ("_flush", "ack", "can_consume_max_estimate", "restore_unacked", "restore_unacked_once")),
}  # fmt: skip
"""Class and names."""

USED: Final[tuple[tuple[Any, str, frozenset[str]], ...]] = (
    (kombu_redis.Channel, "__init__", frozenset({"_brpop_read", "_queue_cycle", "handlers"})),
    (kombu_redis.MultiChannelPoller, "__init__", frozenset({"_chan_to_sock", "_fd_to_chan"})),
    (kombu_redis.MultiChannelPoller, "_register_BRPOP", frozenset({"_brpop_start", "_in_poll"})),
    (virtual.Channel, "basic_consume", frozenset({"append", "delivery_tag", "qos"})),
)
"""Methods, and the names that they have to use."""


def broken_promises() -> list[str]:
    """What this Kombu does not have as we need it. With any, workers use Kombu's own transport."""
    missing = [
        f"{label}.{name}" for label, (owner, names) in NEEDED.items() for name in names if not hasattr(owner, name)
    ]
    for owner, name, names in USED:
        absent = sorted(names - _names(getattr(getattr(owner, name, None), "__code__", None)))
        missing += [f"{each} in {owner.__name__}.{name}" for each in absent]
    return missing


def _names(code: CodeType | None) -> set[str]:
    if code is None:
        return set()
    inner = (_names(each) for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*inner)
