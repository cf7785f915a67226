"""A port to listen on."""

from __future__ import annotations

import random
import socket
from typing import Final

BELOW: Final = 32768
"""Where the ports begin that Linux and macOS give to outgoing connections, unless told otherwise."""
_LOWEST: Final = 10240
_TRIES: Final = 1000


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now, and that no outgoing connection is given.

    A server that restarts needs its port again; one out of the range of outgoing connections is then often somebody
    else's, even that of a client which has tried to reach the server and now talks with itself. A program that binds a
    port late can still lose the race, and whoever starts a server tries again.
    """
    for _ in range(_TRIES):
        port = random.randrange(_LOWEST, BELOW)  # noqa: S311 - nothing is secret about it
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"None of {_TRIES} ports of 127.0.0.1 between {_LOWEST} and {BELOW} is free.")
