"""Real servers for tests and comparisons: private processes on loopback."""

from taskbridge.services.find import Availability, Source, explain, installation, start
from taskbridge.services.server import KINDS, Kind, Options, Server

__all__ = ["KINDS", "Availability", "Kind", "Options", "Server", "Source", "explain", "installation", "start"]
