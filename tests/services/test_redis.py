"""A private Redis server, for real."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from taskbridge import services
from taskbridge.errors import ConfigurationError
from taskbridge.services import Options
from taskbridge.services.resp import RedisRefused, ask


def test_a_started_server_answers_and_leaves_nothing_behind() -> None:
    with services.start("redis") as server:
        assert ask(server.url, ("PING",)) == ["PONG"]
        assert server.version.split(".")[0].isdecimal()
        assert server.directory is not None
        assert server.directory.is_dir()
        pid = server.pid
        assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not server.directory.exists()


def test_it_listens_on_loopback_only() -> None:
    with services.start("redis") as server:
        assert server.pid is not None
        addresses = {c.laddr.ip for c in psutil.Process(server.pid).net_connections() if c.status == "LISTEN"}
        assert addresses == {"127.0.0.1"}


def test_a_killed_server_restarts_on_its_port_with_its_data_if_they_are_persistent() -> None:
    with services.start("redis", options=Options(persistent=True)) as server:
        ask(server.url, ("CONFIG", "SET", "appendfsync", "always"), ("SET", "key", "value"))
        before = server.pid
        server.kill()
        assert server.pid is None
        with pytest.raises(OSError, match="refused"):
            ask(server.url, ("PING",))
        server.restart()
        assert server.pid != before
        assert ask(server.url, ("GET", "key")) == ["value"]


def test_a_server_without_persistence_forgets_at_a_kill() -> None:
    with services.start("redis") as server:
        ask(server.url, ("SET", "key", "value"))
        server.restart()
        assert ask(server.url, ("GET", "key")) == [None]


def test_a_password_is_asked_for_and_stands_in_no_command_line() -> None:
    password = 'pass "word"\\%/'
    with services.start("redis", options=Options(password=password)) as server:
        assert ask(server.url, ("PING",)) == ["PONG"]
        parts = urlsplit(server.url)
        with pytest.raises(RedisRefused, match="NOAUTH"):
            ask(f"redis://127.0.0.1:{parts.port}/0", ("PING",))
        assert server.pid is not None
        assert "pass" not in " ".join(psutil.Process(server.pid).cmdline())


def test_fresh_urls_are_empty_and_differ() -> None:
    with services.start("redis") as server:
        first, second = server.fresh_url(), server.fresh_url()
        ask(first, ("SET", "key", "value"))
        assert ask(second, ("DBSIZE",)) == [0]


def test_an_option_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="redis has no option fsync; its options here: password, persistent"):
        services.start("redis", options=Options(fsync=True))


def test_two_servers_live_side_by_side() -> None:
    with services.start("redis") as one, services.start("redis") as two:
        ask(one.url, ("SET", "key", "value"))
        assert ask(two.url, ("GET", "key")) == [None]


def test_the_port_is_free_again_after_the_stop() -> None:
    with services.start("redis") as server:
        port = urlsplit(server.url).port
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))


def test_the_session_fixture_gives_an_empty_database(redis_url: str) -> None:
    assert ask(redis_url, ("DBSIZE",)) == [0]
    assert Path(urlsplit(redis_url).path).name != "0"
