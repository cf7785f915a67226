"""Enqueuing is one INSERT on Django's own connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.django.conftest import Project

ROLLED_BACK = """
first = application.add.enqueue(1, 2)
class Undo(Exception): pass
try:
    with transaction.atomic():
        inside = application.add.enqueue(3, 4)
        seen = inside.detail_status
        raise Undo
except Undo: pass
inside.refresh()
with transaction.atomic():
    application.add.enqueue(5, 6)
print(json.dumps([seen, inside.detail_status, DBTaskResult.objects.count()]))
"""
FIRST_IN_A_TRANSACTION = """
class Undo(Exception): pass
for _ in range(2):
    try:
        with transaction.atomic():
            application.add.enqueue(3, 4)
            raise Undo
    except Undo: pass
handle = application.add.enqueue(5, 6)
print(json.dumps(handle.detail_status))
"""
COUNTED = """
from django.test.utils import CaptureQueriesContext
def verbs(call):
    with CaptureQueriesContext(connection) as caught:
        call()
    return [query["sql"].split()[0] for query in caught.captured_queries]
application.note.enqueue()
print(json.dumps([
    verbs(lambda: application.note.enqueue("a")),
    verbs(lambda: application.note.enqueue_many([(number,) for number in range(1000)])),
    DBTaskResult.objects.count(),
]))
"""
IN_BULK = """
from datetime import UTC, datetime
later = datetime(2099, 1, 1, tzinfo=UTC)
values = [1, "zwei", 1e16, "nul \\0", None]
def rows():
    made = list(DBTaskResult.objects.values())
    for row in made:
        row["args_kwargs"].pop("taskbridge")
        assert row.pop("id") and row.pop("enqueued_at")
    DBTaskResult.objects.all().delete()
    return sorted(map(repr, made))
for task in (application.note, application.note.using(priority=7, run_after=later)):
    for value in values:
        task.enqueue(value)
alone = rows()
application.note.enqueue_many([(value,) for value in values])
application.note.using(priority=7, run_after=later).enqueue_many([(value,) for value in values])
print(json.dumps([alone, rows()]))
"""
CARRIED = """
from taskbridge_django_tasks.wire import from_native
values = [1e16, -0.0, 1e-7, 0.1, 2**70, "nul \\0", {"b": 1, "a": {"zz": 1, "y": [-1e300]}}, [], None, "ż🙂", 1.0]
handles = [application.note.enqueue(value) for value in values]
arrived = [from_native(DBTaskResult.objects.get(pk=handle.id)).args[0] for handle in handles]
print(json.dumps([[repr(value) for value in values], [repr(value) for value in arrived]]))
"""
NATIVE_VALUES = """
from taskbridge.errors import InvalidArguments
said = []
for value in (1e16, -0.0, "nul \\0", 1.5, {"b": 1, "a": 2}):
    try:
        application.receipt.enqueue(1, name=value) if isinstance(value, str) else backend.enqueue([message(value)])
    except InvalidArguments as error:
        said.append(str(error))
    else:
        said.append("taken")
print(json.dumps(said))
"""
MESSAGE = """
from taskbridge.identity import new_id
from taskbridge.message import Headers, Message
def message(value):
    return Message(new_id(), "shop.receipt", [value], {}, headers=Headers())
"""
IN_THREADS = """
import gc, threading, warnings, sys, asyncio
unraised = []
sys.unraisablehook = lambda hook: unraised.append(str(hook.exc_value))
warnings.simplefilter("error", ResourceWarning)
threads = [threading.Thread(target=application.note.enqueue, args=(number,)) for number in range(5)]
for thread in threads: thread.start()
for thread in threads: thread.join()
async def on_loop():
    await asyncio.gather(*[application.add.aenqueue(1, 2) for _ in range(5)])
asyncio.run(on_loop())
del threads
gc.collect()
print(json.dumps([unraised, DBTaskResult.objects.count()]))
"""
UNREACHABLE = """
from taskbridge.errors import EnqueueError
try:
    application.note.enqueue()
except EnqueueError as error:
    print(json.dumps([type(error).__name__, str(error), error.maybe_accepted]))
"""
ENDED = """
import psycopg
def end_session():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        mine = cursor.fetchone()[0]
    with psycopg.connect(os.environ["TEST_DATABASE"], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (mine,))
end_session()
application.note.enqueue("after the end of the session")
insert = backend._insert
def insert_and_lose_the_answer(rows, using):
    backend._insert = insert
    insert(rows, using)
    end_session()
    with backend._enqueuing(using), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
backend._insert = insert_and_lose_the_answer
application.note.enqueue_many([(1,), (2,)])
print(json.dumps(DBTaskResult.objects.count()))
"""
ANALYZED = """
with connection.cursor() as cursor:
    def counted():
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'django_tasks_database_dbtaskresult'")
        return cursor.fetchone()[0]
    before = counted()
    with transaction.atomic():
        application.note.enqueue_many([(1,)] * 10_000)
        inside = counted()
    print(json.dumps([before, inside, counted()]))
"""


def test_a_job_lives_and_dies_with_the_callers_transaction(project: Project) -> None:
    seen, after, rows = project.enqueue(ROLLED_BACK)
    assert seen == "QUEUED"
    assert after == "UNKNOWN"
    assert rows == 2


def test_the_stores_tables_survive_a_first_use_in_a_transaction_that_is_undone(project: Project) -> None:
    assert project.enqueue(FIRST_IN_A_TRANSACTION) == "QUEUED"


def test_one_job_is_one_insert(project: Project) -> None:
    one, many, rows = project.enqueue(COUNTED)
    assert one == ["INSERT"]
    assert set(many) <= {"BEGIN", "INSERT", "COMMIT"}
    assert many.count("INSERT") <= 1000 / 50
    assert rows == 1002


def test_rows_written_together_are_those_written_one_by_one(project: Project) -> None:
    alone, together = project.enqueue(IN_BULK)
    assert len(alone) == 10
    assert together == alone


def test_values_that_the_column_would_change_arrive_as_they_were_sent(project: Project) -> None:
    sent, arrived = project.enqueue(CARRIED)
    assert arrived == sent


def test_a_value_that_a_stock_worker_would_get_changed_is_refused(on_postgres: Project) -> None:
    url = "django+db://default?workers=native"
    said = on_postgres.enqueue(MESSAGE + NATIVE_VALUES, SHOP_URL=url)
    assert "1e16" in said[0]
    assert "negative zero" in said[1]
    assert "NUL" in said[2]
    assert said[3:] == ["taken", "taken"]


def test_a_thread_gives_its_connection_back(project: Project) -> None:
    unraised, rows = project.enqueue(IN_THREADS)
    assert unraised == []
    assert rows == 10


def test_a_missing_table_is_told_with_the_command_that_makes_it(on_sqlite: Project) -> None:
    on_sqlite.environment["TEST_DATABASE"] = f"sqlite:///{on_sqlite.folder}/empty.sqlite3"
    name, words, maybe_accepted = on_sqlite.enqueue(UNREACHABLE)
    assert name == "EnqueueError"
    assert "manage.py migrate" in words
    assert not maybe_accepted


@pytest.mark.parametrize("database", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////no/such/folder/database"])
def test_an_unreachable_database_has_certainly_not_taken_the_job(on_sqlite: Project, database: str) -> None:
    on_sqlite.environment["TEST_DATABASE"] = database
    name, words, maybe_accepted = on_sqlite.enqueue(UNREACHABLE)
    assert name == "BrokerUnavailable"
    assert "DATABASES['default']" in words
    assert not maybe_accepted


def test_a_session_that_had_ended_costs_no_job_and_doubles_none(on_postgres: Project) -> None:
    assert on_postgres.enqueue(ENDED) == 3


def test_postgresql_looks_at_its_table_again_after_very_many_jobs(on_postgres: Project) -> None:
    before, inside, after = on_postgres.enqueue(ANALYZED)
    assert before == inside == -1
    assert after >= 10_000


def test_receivers_of_djangos_signal_hear_of_a_job(on_sqlite: Project) -> None:
    on_sqlite.enqueue(
        "import shop; application.receipt.enqueue(1, name='x'); application.note.enqueue_many([(1,), (2,)])",
        SHOP_LISTENS="yes",
    )
    heard = [(entry["kind"], entry["task"], entry["status"], entry["sender"]) for entry in on_sqlite.written("signal")]
    note: Any = ("enqueued", "tests.django.application.note", "READY", "DatabaseBackend")
    assert heard == [("enqueued", "shop.receipt", "READY", "DatabaseBackend"), note, note]
