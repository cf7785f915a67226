"""Real servers for tests and comparisons: private processes on loopback."""

from taskbridge.services.find import Availability, Source, explain, installation, start, start_private
from taskbridge.services.kind import KINDS, Kind
from taskbridge.services.server import Options, PrivateServer, Server

__all__ = [
    "KINDS",
    "Availability",
    "Kind",
    "Options",
    "PrivateServer",
    "Server",
    "Source",
    "explain",
    "installation",
    "start",
    "start_private",
]
