"""The Django project, on three backends."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskbridge.process import free_port
from tests.examples.example import ask, copy, listens, until

URLS = {
    "django+db": "django+db://default",
    "huey+sqlite": "huey+sqlite:///./queue.db",
    "rq+redis": "rq+{redis_url}",
}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", URLS)
def test_an_order_gets_its_receipt_from_the_worker(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = URLS[backend]
    if "redis" in backend:
        url = url.format(redis_url=request.getfixturevalue("redis_url"))
    example = copy("django_project", tmp_path, url, DJANGO_SETTINGS_MODULE="shop.settings")
    migrated = example.run("python", "manage.py", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    with (
        example.running("python", "manage.py", "runserver", "--noreload", str(port)),
        example.running("taskbridge", "worker", "-A", "orders.tasks"),
    ):
        until(lambda: listens(site), "the site's first answer")
        status, placed = ask(f"{site}/orders/", {"email": "ann@example.org", "total": "12.50"})
        assert status == 201
        order = f"{site}/orders/{placed['order']}/"
        until(lambda: ask(order) == (200, {"order": placed["order"], "receipt_sent": True}), "the receipt")
