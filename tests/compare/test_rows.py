from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from taskbridge.cli.compare import command
from taskbridge.errors import ServiceUnavailable
from taskbridge_compare.drivers import RowsError, choose, rows, unavailable
from taskbridge_compare.drivers.native_rq import NativeRQ
from taskbridge_compare.workload import SHIPPED, load

if TYPE_CHECKING:
    from taskbridge_compare.drivers import Driver


def test_every_engine_and_broker_is_a_row_and_the_planted_one_only_on_request() -> None:
    natives = {row.backend for row in rows() if row.profile == "native"}
    assert natives == {
        "celery+redis",
        "celery+amqp",
        "dramatiq+redis",
        "dramatiq+amqp",
        "rq+redis",
        "huey+redis",
        "huey+sqlite",
        "django+db-sqlite",
        "django+db-postgres",
        "django+rq",
    }
    assert {row.backend for row in choose([])} == natives
    assert [row.backend for row in choose(["planted"])] == ["planted"]


def test_an_engines_name_chooses_all_of_its_rows() -> None:
    assert {row.backend for row in choose(["huey"])} == {"huey+redis", "huey+sqlite"}
    with pytest.raises(RowsError, match=r"did you mean rq\+redis\?"):
        choose(["rq+rediss"])


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.backend}-{row.profile}")
def test_a_native_application_does_not_import_taskbridge_and_every_application_is_python(row: Driver) -> None:
    url = {"sqlite": "sqlite:////tmp/q.db", "postgres": "postgresql://u@h:1/n"}.get(row.broker, f"{row.broker}://h:1/0")
    application = row.application(load(SHIPPED), url, slots=1)
    for name, text in application.files.items():
        compile(text, name, "exec")
        assert ("import taskbridge" in text) == (row.profile == "taskbridge" and name == "app.py")
    assert "# worker" in application.printed


def test_a_missing_engine_is_named_with_the_command_that_adds_it() -> None:
    row = replace(NativeRQ(), distributions=("rq", "not-there"))
    assert unavailable(row) == "not-there is not installed. Run `pip install 'taskbridge[rq]'`"
    assert unavailable(NativeRQ()) == ""


def test_nothing_to_run_is_an_exit_code_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kind: str, **_: object) -> None:
        raise ServiceUnavailable(f"no {kind} server: run `apt-get install redis-server`")

    monkeypatch.setattr("taskbridge_compare.servers.start", refuse)
    done = CliRunner().invoke(command, ["--backends", "rq", "--quick"])
    assert done.exit_code == 3
    assert "apt-get install redis-server" in done.output
    assert "nothing of what was asked for can be run here" in done.output
