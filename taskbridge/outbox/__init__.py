"""Jobs that go through the caller's own transaction: the outbox, its relay, and the inbox."""

from taskbridge.outbox.databases import open_outbox
from taskbridge.outbox.relay import Relay
from taskbridge.outbox.table import OutboxTable

__all__ = ["OutboxTable", "Relay", "open_outbox"]
