"""Beside an application that knows nothing of TaskBridge, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.django.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.django.conftest import Project

REFUSALS = """
from taskbridge.errors import TaskBridgeError
said = []
for call in (
    lambda: application.note.enqueue(),
    lambda: application.flaky.enqueue(),
    lambda: application.receipt.using(metadata={"a": 1}).enqueue(1, name="x"),
    lambda: application.receipt.using(timeout=timedelta(seconds=1)).enqueue(1, name="x"),
    lambda: application.add.enqueue(1, 2),
    lambda: backend.worker_commands(__import__("taskbridge.backend").backend.WorkerOptions()),
):
    try:
        call()
    except TaskBridgeError as error:
        said.append(f"{type(error).__name__}: {error}")
    else:
        said.append("taken")
print(json.dumps(said))
"""


def test_the_legacy_shop_cannot_import_taskbridge(on_sqlite: Project) -> None:
    legacy = on_sqlite.legacy("taskbridge")
    assert legacy.wait(within=PATIENCE) == 1
    assert "knows nothing of TaskBridge" in legacy.output()


def test_what_legacy_code_enqueues_runs_on_our_worker(project: Project) -> None:
    legacy = project.legacy("enqueue")
    assert legacy.wait(within=PATIENCE) == 0, legacy.output()
    rows = {row["task_path"]: row for row in project.finish(project.worker(), jobs=4)}
    # The task that TaskBridge has under this path runs ours; the others run as the shop declares them.
    assert project.written("our receipt") == [{"job": "our receipt", "number": 42, "name": "Zoë"}]
    assert project.written("report") == [{"job": "report", "days": 7, "attempt": 1}]
    assert rows["shop.receipt"]["return_value"] == "our receipt 42"
    assert rows["shop.parcel"]["return_value"] == {"weight": 1.5}
    assert rows["shop.report"]["status"] == "FAILED"
    assert rows["shop.report"]["exception_class_path"] == "builtins.ValueError"
    assert rows["shop.unserialisable"]["status"] == "FAILED"


def test_what_we_enqueue_for_native_workers_runs_on_a_stock_worker(project: Project) -> None:
    project.environment["SHOP_URL"] = "django+db://default?workers=native"
    project.enqueue(
        "application.receipt.enqueue(44, name='Zoë')\n"
        "application.receipt.using(run_after=timedelta(seconds=1), queue_name='mail').enqueue(45, name='later')"
    )
    rows = project.finish(project.stock_worker(), jobs=2)
    assert sorted(entry["number"] for entry in project.written("receipt")) == [44, 45]
    assert [row["return_value"] for row in rows] == ["receipt 44", "receipt 45"]


def test_what_a_native_worker_cannot_do_is_refused(on_sqlite: Project) -> None:
    on_sqlite.environment["SHOP_URL"] = "django+db://default?workers=native"
    no_task, retry, context, timeout, result, worker = on_sqlite.enqueue(REFUSALS)
    assert no_task.startswith("UnsupportedFeature")
    assert "native={'django': {'name':" in no_task
    assert "retry of the task" in retry
    assert "context of the task" in context
    assert "timeout of the task" in timeout
    assert "get_result" in result
    assert "manage.py db_worker --backend default" in worker
    assert on_sqlite.rows() == []


def test_our_metadata_does_no_harm_on_a_stock_worker(project: Project) -> None:
    project.enqueue("application.receipt.using(metadata={'tenant': 'a'}).enqueue(46, name='Zoë')")
    (row,) = project.finish(project.stock_worker(), jobs=1)
    assert row["return_value"] == "receipt 46"
    assert set(row["args_kwargs"]) == {
        "args",
        "kwargs",
        "taskbridge",
        *(row["args_kwargs"].keys() & {"taskbridge_arguments"}),
    }
