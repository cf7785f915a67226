"""The engine's worker with our jobs: what becomes of each row."""

from __future__ import annotations

import signal
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.django.conftest import PATIENCE, TABLE

if TYPE_CHECKING:
    from tests.django.conftest import Project

UNDECODABLE = """
from taskbridge.identity import new_id
def row(content, path="tests.django.application.note"):
    DBTaskResult.objects.create(
        id=new_id(), task_path=path, args_kwargs=content, backend_name="default", queue_name="default"
    )
row([1, 2])
row({"args": "text", "kwargs": {}})
row({"args": [1], "kwargs": {}, "taskbridge": "no headers"})
row({"args": [1], "kwargs": {}, "taskbridge_arguments": "[]"})
row({"args": [], "kwargs": {}}, "no.such.task")
row({"args": [], "kwargs": {}}, "os.path.join")
application.leaves.enqueue()
application.note.enqueue("last")
"""


SWEPT = """
import shop
from taskbridge.errors import StoreUnavailable
from taskbridge.store.sql import SQLStore
from taskbridge_django_tasks import worker
worker.SWEEP_SECONDS = -1
store = router.store()
swept = []
def sweep():
    swept.append(store.sweep())
    if len(swept) == 1:
        raise StoreUnavailable("the first time")
application.add.enqueue(1, 2)
with connection.cursor() as cursor:
    cursor.execute("UPDATE taskbridge_results SET expires_at = 1")
DBTaskResult.objects.all().delete()
for number in range(3):
    shop.receipt.enqueue(number, name="x")
options = dict(queue_names=["default"], interval=0, batch=True, backend_name="default", startup_delay=False)
worker.Worker(
    tasks={}, run=None, sweep=sweep, crash_budget=3, max_tasks=None, worker_id="w", excluded_queue_names=[], **options
).run()
print(json.dumps([swept, DBTaskResult.objects.successful().count()]))
"""


def test_expired_results_are_deleted_now_and_then(project: Project) -> None:
    assert project.enqueue(SWEPT) == [[1, 0, 0], 3]


def test_a_retry_is_the_same_row_until_it_fails_for_good(project: Project) -> None:
    job_id = project.enqueue("print(json.dumps(application.flaky.enqueue().id))")
    (row,) = project.finish(project.worker(), jobs=1)
    attempts = project.written("flaky")
    assert [entry["attempt"] for entry in attempts] == [1, 2, 3]
    assert {entry["id"] for entry in attempts} == {job_id}
    assert all(later["at"] - sooner["at"] >= 0.3 for sooner, later in pairwise(attempts))
    assert row["status"] == "FAILED"
    assert len(row["worker_ids"]) == 3
    assert row["exception_class_path"] == "builtins.ConnectionError"
    assert "ConnectionError: attempt 3" in row["traceback"]


def test_what_a_job_returns_is_in_our_store_and_not_in_the_row(project: Project) -> None:
    job_id = project.enqueue("print(json.dumps(application.add.enqueue(1, 2).id))")
    (row,) = project.finish(project.worker(), jobs=1)
    assert row["status"] == "SUCCESSFUL"
    assert row["return_value"] is None
    assert project.enqueue(f"print(json.dumps(application.add.get_result({job_id!r}).return_value))") == 3


def test_an_expired_job_is_a_failed_row_that_says_so(on_sqlite: Project) -> None:
    on_sqlite.enqueue("application.note.using(expires=datetime.now(timezone.utc) - timedelta(1)).enqueue()")
    (row,) = on_sqlite.finish(on_sqlite.worker(), jobs=1)
    assert row["status"] == "FAILED"
    assert row["exception_class_path"] == "taskbridge.errors.JobExpired"
    assert on_sqlite.written("note") == []


def test_rows_that_nobody_can_run_fail_and_the_worker_goes_on(project: Project) -> None:
    project.enqueue(UNDECODABLE)
    rows = project.finish(project.worker(), jobs=8)
    assert [row["status"] for row in rows] == ["FAILED"] * 7 + ["SUCCESSFUL"]
    assert [row["exception_class_path"].rpartition(".")[2] for row in rows] == [
        "UndecodableMessage",
        "UndecodableMessage",
        "UndecodableMessage",
        "UndecodableMessage",
        "ModuleNotFoundError",
        "SuspiciousOperation",
        "TaskExited",
        "",
    ]
    assert project.written("note") == [{"job": "note", "value": "last"}]


UNREADABLE = """
for path in ("tests.django.application.note", "shop.report"):
    application.note.enqueue("to be damaged")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE django_tasks_database_dbtaskresult SET args_kwargs = %s, task_path = %s, priority = 9 "
            "WHERE priority = 0", ['{"args": [1' + 5000 * "0" + '], "kwargs": {}}', path]
        )
application.note.enqueue("last")
"""


def test_an_undecodable_row_that_was_mended_is_driven_again(project: Project) -> None:
    project.enqueue(
        "application.note.enqueue('mended'); DBTaskResult.objects.update(args_kwargs={'args': 'text', 'kwargs': {}})"
    )
    worker = project.worker()
    project.finish(worker, jobs=1)
    ((letter,),) = project.query("SELECT id FROM taskbridge_dead_letters")
    project.enqueue(
        f"DBTaskResult.objects.update(args_kwargs={{'args': ['mended'], 'kwargs': {{}}}})\n"
        f"from taskbridge.redrive import redrive\n"
        f"redrive({letter!r}, router.store())"
    )
    project.until(lambda: project.written("note"), worker)


def test_rows_that_python_cannot_read_fail_and_are_kept_and_the_worker_goes_on(project: Project) -> None:
    project.enqueue(UNREADABLE)
    worker = project.worker()
    project.until(lambda: project.written("note"), worker)
    states = project.query(f"SELECT status, exception_class_path FROM {TABLE} ORDER BY enqueued_at LIMIT 2")
    assert states == [("FAILED", "taskbridge.errors.UndecodableMessage")] * 2
    assert project.query("SELECT reason FROM taskbridge_dead_letters") == [("undecodable",)] * 2
    assert worker.running


def test_a_native_job_whose_error_cannot_be_written_fails_all_the_same(on_postgres: Project) -> None:
    on_postgres.enqueue("import shop; shop.nul.enqueue()")
    (row,) = on_postgres.finish(on_postgres.worker(), jobs=1)
    assert row["status"] == "FAILED"
    assert "PostgreSQL knows no \\x00" in row["traceback"]


def test_a_worker_keeps_its_connection(on_postgres: Project) -> None:
    on_postgres.enqueue("application.session.enqueue_many([()] * 3)")
    on_postgres.finish(on_postgres.worker(), jobs=3)
    assert len({entry["connection"] for entry in on_postgres.written("session")}) == 1


def test_a_worker_outlives_a_database_that_is_away(on_postgres: Project) -> None:
    opened = on_postgres.folder / "opened"
    on_postgres.enqueue(f"application.holds.enqueue({str(opened)!r})")
    worker = on_postgres.worker()
    on_postgres.until(lambda: on_postgres.written("holds"), worker)
    with on_postgres.database_away():
        opened.touch()
        on_postgres.until(lambda: "waits for the database" in worker.output(), worker)
    assert on_postgres.finish(worker, jobs=1)[0]["status"] == "SUCCESSFUL"
    with on_postgres.database_away():
        on_postgres.until(lambda: "did not answer" in worker.output(), worker)
    on_postgres.enqueue("application.note.enqueue('after')")
    assert [row["status"] for row in on_postgres.finish(worker, jobs=2)] == ["SUCCESSFUL", "SUCCESSFUL"]
    assert worker.running


def test_coroutines_get_a_new_connection_once_theirs_has_ended(on_postgres: Project) -> None:
    worker = on_postgres.worker()
    for place in range(1, 4):
        on_postgres.enqueue("application.session_of_a_coroutine.enqueue()")
        on_postgres.finish(worker, jobs=place)
        with on_postgres.database_away():
            pass
    # The first job after the end meets the dead connection; the next one must not.
    first, _, third = [row["status"] for row in on_postgres.rows()]
    assert (first, third) == ("SUCCESSFUL", "SUCCESSFUL")


def test_a_timeout_in_the_middle_of_a_query_is_recorded_in_the_row_and_in_the_store(on_postgres: Project) -> None:
    job_id = on_postgres.enqueue("print(json.dumps(application.asks_slowly.enqueue().id))")
    (row,) = on_postgres.finish(on_postgres.worker(), jobs=1)
    assert row["exception_class_path"] == "taskbridge.errors.TaskTimedOut"
    said = on_postgres.enqueue(f"print(json.dumps(application.asks_slowly.get_result({job_id!r}).status))")
    assert said == "FAILED"


def test_the_first_signal_lets_the_job_end(on_sqlite: Project) -> None:
    opened = on_sqlite.folder / "opened"
    on_sqlite.enqueue(f"application.holds.enqueue({str(opened)!r})\napplication.note.enqueue('next')")
    worker = on_sqlite.worker()
    on_sqlite.until(lambda: on_sqlite.written("holds"), worker)
    worker.send(signal.SIGTERM)
    opened.touch()
    assert worker.wait(within=PATIENCE) == 0
    assert [row["status"] for row in on_sqlite.rows()] == ["SUCCESSFUL", "READY"]


def test_an_idle_worker_leaves_at_once(on_sqlite: Project) -> None:
    on_sqlite.enqueue("application.note.enqueue()")
    worker = on_sqlite.worker()
    on_sqlite.finish(worker, jobs=1)
    worker.send(signal.SIGTERM)
    assert worker.wait(within=PATIENCE) == 0


def test_an_outcome_does_not_overwrite_a_row_that_another_worker_has_claimed(project: Project) -> None:
    opened = project.folder / "opened"
    project.enqueue(f"application.holds.enqueue({str(opened)!r})")
    worker = project.worker()
    project.until(lambda: project.written("holds"), worker)
    project.query(f"""UPDATE {TABLE} SET worker_ids = '["first", "second"]'""")
    opened.touch()
    project.enqueue("application.note.enqueue()")
    rows = project.finish(worker, jobs=1)
    assert [row["status"] for row in rows] == ["RUNNING", "SUCCESSFUL"]
    assert "no longer this worker's" in worker.output()


def test_receivers_of_djangos_signals_hear_what_they_hear_of_native_jobs(on_sqlite: Project) -> None:
    on_sqlite.enqueue("import shop; application.flaky.enqueue(); shop.report.enqueue(7); application.note.enqueue()")
    on_sqlite.finish(on_sqlite.worker(SHOP_LISTENS="yes"), jobs=3)
    heard = [
        (entry["kind"], entry["task"].rpartition(".")[2], entry["status"]) for entry in on_sqlite.written("signal")
    ]
    assert [entry for entry in heard if entry[1] == "flaky"] == [("started", "flaky", "RUNNING")] * 3 + [
        ("finished", "flaky", "FAILED")
    ]
    assert [entry for entry in heard if entry[1] == "report"] == [
        ("started", "report", "RUNNING"),
        ("finished", "report", "FAILED"),
    ]
    assert [entry for entry in heard if entry[1] == "note"] == [
        ("started", "note", "RUNNING"),
        ("finished", "note", "SUCCESSFUL"),
    ]


def test_without_time_zones_a_delayed_job_is_not_early(on_sqlite: Project) -> None:
    on_sqlite.environment["TEST_USE_TZ"] = "no"
    on_sqlite.enqueue(
        "application.note.using(run_after=timedelta(hours=1)).enqueue('later')\n"
        "application.note.using(run_after=timedelta(seconds=1)).enqueue('sooner')\n"
    )
    on_sqlite.finish(on_sqlite.worker(), jobs=1)
    assert [entry["value"] for entry in on_sqlite.written("note")] == ["sooner"]
