"""Real servers for tests and comparisons: private processes on loopback."""

from taskbridge.services.find import installation, start
from taskbridge.services.server import KINDS, Kind, Options, Server

__all__ = ["KINDS", "Kind", "Options", "Server", "installation", "start"]
