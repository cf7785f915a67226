"""Supervised native processes: start in an own session, wait until ready, signal, kill the tree."""

from taskbridge.process.command import Command
from taskbridge.process.folder import GuardedFolder
from taskbridge.process.identity import Identity
from taskbridge.process.port import free_port
from taskbridge.process.process import Process
from taskbridge.process.supervisor import Ending, Event, Restarts, supervise

__all__ = [
    "Command",
    "Ending",
    "Event",
    "GuardedFolder",
    "Identity",
    "Process",
    "Restarts",
    "free_port",
    "supervise",
]
