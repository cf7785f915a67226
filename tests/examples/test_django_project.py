"""The Django project, on every engine: two of them in `make test`, all in `make wide`."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.django_admin.site import serving
from tests.examples.example import ask, copy, until

URLS = {
    "django+db": "django+db://rows",
    "huey+sqlite": "huey+sqlite:///./queue.db",
    "celery+redis": "celery+{redis_url}",
    "dramatiq+redis": "dramatiq+{redis_url}",
    "rq+redis": "rq+{redis_url}",
}
IN_MAKE_TEST = ("django+db", "celery+redis")
"""Those of which the promises of `tests/django_backend` are not tried there."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "backend", [name if name in IN_MAKE_TEST else pytest.param(name, marks=pytest.mark.wide) for name in URLS]
)
def test_an_order_gets_one_receipt_and_is_put_away_by_the_clock(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = URLS[backend]
    if "redis" in backend:
        url = url.format(redis_url=request.getfixturevalue("redis_server").fresh_url())
    example = copy("django_project", tmp_path, url, DJANGO_SETTINGS_MODULE="shop.settings")
    migrated = example.run("python", "manage.py", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    runserver = (sys.executable, "manage.py", "runserver")
    variables = {"TASKBRIDGE_URL": url, **example.variables}
    with (
        serving(runserver, example.folder / "site.log", folder=example.folder, environment=variables) as site,
        example.running("python", "manage.py", "taskbridge", "worker"),
    ):
        status, placed = ask(f"{site}/orders/", {"email": "ann@example.org", "total": "12.50"})
        assert status == 201
        order = f"{site}/orders/{placed['order']}/"
        until(lambda: ask(order)[1]["receipts_sent"] == 1, "the receipt")

        again = example.run(
            "python", "manage.py", "taskbridge", "enqueue", "orders.tasks.send_receipt", f"[{placed['order']}]",
            "--wait", "60", "--json",
        )  # fmt: skip
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout.splitlines()[-1])["value"] == f"receipt of order {placed['order']}"
        assert ask(order) == (200, {"order": placed["order"], "receipts_sent": 1, "is_archived": False})

        triggered = example.run("python", "manage.py", "taskbridge", "periodic", "trigger", "archive")
        assert triggered.returncode == 0, triggered.stderr
        until(lambda: ask(order)[1]["is_archived"], "the order put away")

        with urllib.request.urlopen(f"{site}/admin/taskbridge/desk/", timeout=30) as page:
            assert "/admin/login/" in page.url
