"""The fixtures of the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskbridge.testing.suite.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The backend under test, with its workers running and the first half of every behaviour done."""
    url = request.config.getoption("--backend")
    if url is None:
        raise pytest.UsageError("Name the backend to test: --backend ENGINE+BROKER://...")
    asked = request.config.getoption
    stage = Stage(url, tmp_path_factory.mktemp("suite"), asked("--flip"), bulk=asked("--bulk"))
    try:
        functions = [item.function for item in request.session.items if isinstance(item, pytest.Function)]
        held = [behaviour for function in functions if (behaviour := getattr(function, "behaviour", None))]
        held.sort(key=lambda behaviour: behaviour.is_bulky)  # what is enqueued behind a thousand jobs waits for them
        if held:
            stage.start()
        for behaviour in held:
            behaviour.begin(stage)
        yield stage
    finally:
        stage.stop()
