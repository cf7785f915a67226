"""The Django project, on every engine."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from taskbridge.process import free_port
from tests.examples.example import ask, copy, listens, until

URLS = {
    "django+db": "django+db://rows",
    "huey+sqlite": "huey+sqlite:///./queue.db",
    "celery+redis": "celery+{redis_url}",
    "dramatiq+redis": "dramatiq+{redis_url}",
    "rq+redis": "rq+{redis_url}",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", URLS)
def test_an_order_gets_one_receipt_and_is_put_away_by_the_clock(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = URLS[backend]
    if "redis" in backend:
        url = url.format(redis_url=request.getfixturevalue("redis_server").fresh_url())
    example = copy("django_project", tmp_path, url, DJANGO_SETTINGS_MODULE="shop.settings")
    migrated = example.run("python", "manage.py", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    with (
        example.running("python", "manage.py", "runserver", "--noreload", str(port)),
        example.running("taskbridge", "worker"),
    ):
        until(lambda: listens(site), "the site's first answer")
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
