"""The FastAPI service, on two engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskbridge.process import free_port
from tests.examples.example import ask, copy, listens, until

URLS = {"huey+sqlite": "huey+sqlite:///./queue.db", "celery+redis": "celery+{redis_url}"}
SALES = [
    {"day": "2026-01-02", "product": "tea", "price": "3.10"},
    {"day": "2026-01-03", "product": "tea", "price": "2.90"},
    {"day": "2026-01-03", "product": "cup", "price": "8.00"},
]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", URLS)
def test_a_client_is_told_what_the_worker_computed(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = URLS[backend]
    if "redis" in backend:
        url = url.format(redis_url=request.getfixturevalue("redis_url"))
    example = copy("fastapi_app", tmp_path, url)
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    with (
        example.running("uvicorn", "app:app", "--port", str(port)),
        example.running("taskbridge", "worker", "-A", "tasks"),
    ):
        until(lambda: listens(site), "the service's first answer")
        status, job = ask(f"{site}/summaries", SALES)
        assert (status, job["status"]) == (202, "QUEUED")

        seen: list[Any] = []

        def is_done() -> bool:
            seen[:] = ask(f"{site}/summaries/{job['id']}")
            return seen[0] != 200 or seen[1]["status"] not in ("QUEUED", "RUNNING")

        until(is_done, f"the end of the job {job['id']}")
        assert seen == [200, {"id": job["id"], "status": "SUCCESSFUL", "turnover": {"tea": "6.00", "cup": "8.00"}}]
        assert ask(f"{site}/summaries/nobody-knows-it")[0] == 404
        assert ask(f"{site}/summaries", [{"day": "yesterday"}])[0] == 422
