"""A port to listen on."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now.

    The kernel gives ports in turn, so that the next caller gets another one; a program that binds it late can still
    lose the race, and whoever starts a server tries again.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
