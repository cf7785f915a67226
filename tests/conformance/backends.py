"""The backends of ours: each a URL with a place for a private server, and the environment that it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from taskbridge.services import KINDS, Kind
from tests.forks import run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT: Final = Path(__file__).parents[2]
DJANGO: Final = {"DJANGO_SETTINGS_MODULE": "tests.conformance.django_settings", "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True, slots=True)
class Served:
    """One backend; `{redis}`, `{rabbitmq}` and `{postgres}` stand for an empty part of a server, `{folder}` for one."""

    url: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_django(self) -> bool:
        """True if only a process that is a Django project can open it."""
        return "DJANGO_SETTINGS_MODULE" in self.environment

    def nowhere(self) -> tuple[str, dict[str, str]]:
        """The same where no server answers: enough to bind tasks, which needs no I/O."""
        filled = [text.format(**NOWHERE, folder=".") for text in (self.url, *self.environment.values())]
        return filled[0], dict(zip(self.environment, filled[1:], strict=True))

    def on(
        self, server: Callable[[Kind], str], folder: Path, *, python: str = sys.executable
    ) -> tuple[str, dict[str, str]]:
        """The URL and the environment, with servers that run; `server` gives the URL of an empty part of one."""
        filled = [self.url, *self.environment.values()]
        for kind in KINDS:
            if any(f"{{{kind}}}" in text for text in filled):
                url = server(kind)
                filled = [text.replace(f"{{{kind}}}", url) for text in filled]
        url, *values = [text.replace("{folder}", str(folder)) for text in filled]
        environment = dict(zip(self.environment, values, strict=True))
        if self.needs_django:
            migrate(environment, python)
        return url, environment


def migrate(environment: Mapping[str, str], python: str = sys.executable) -> None:
    """Create the tables of a Django project, with another interpreter on request."""
    if python != sys.executable:
        argv = [python, "-m", "django", "migrate", "-v0"]
        subprocess.run(argv, env={**os.environ, **environment}, check=True, timeout=60)
        return
    code = "from django.core.management import execute_from_command_line as run; run(['django', 'migrate', '-v0'])"
    ran = run_python(code, environment=environment, directory=ROOT, timeout=60)
    assert ran.returncode == 0, ran.stderr


SERVED: Final = {
    "memory": Served("memory://"),
    "huey+sqlite": Served("huey+sqlite:///{folder}/queue.db"),
    "huey+redis": Served("huey+{redis}?priority=yes"),
    "rq+redis": Served("rq+{redis}"),
    "celery+redis": Served("celery+{redis}"),
    "celery+amqp": Served("celery+{rabbitmq}?priority=10&store={redis}"),
    "dramatiq+redis": Served("dramatiq+{redis}"),
    "dramatiq+amqp": Served("dramatiq+{rabbitmq}?priority=10&store={redis}"),
    "django+db": Served("django+db://default", {**DJANGO, "TEST_DATABASE": "sqlite:///{folder}/django.db"}),
    "django+db+postgres": Served("django+db://default", {**DJANGO, "TEST_DATABASE": "{postgres}"}),
    "django+rq": Served(
        "django+rq://redis", {**DJANGO, "TEST_DATABASE": "sqlite:///{folder}/django.db", "TEST_REDIS": "{redis}"}
    ),
}
"""The names are those of `make conformance BACKEND=...`."""

NOWHERE: Final = {
    "redis": "redis://127.0.0.1:1/0",
    "rabbitmq": "amqp://127.0.0.1:1/",
    "postgres": "postgresql://nobody@127.0.0.1:1/nothing",
}
