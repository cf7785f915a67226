"""Tests as a project writes them with `JobTestCase`; and what `manage.py check` and `manage.py taskbridge` say."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.template import Context, Engine
from django.test import override_settings

from taskbridge.codec import Codec
from taskbridge.django import framework
from taskbridge.django.tables import Tables
from taskbridge.django.testing import JobTestCase
from taskbridge.options import TaskOptions
from taskbridge.outbox import open_outbox
from taskbridge.store import schema
from taskbridge.task import Task

tasks: Any = importlib.import_module("tests.django_backend.shop.tasks")


class JobsOfATransaction(JobTestCase):
    """Each test is one transaction, which is rolled back."""

    def test_a_job_runs_when_it_is_told_to_and_its_result_is_there(self) -> None:
        result = tasks.double.enqueue(4)
        assert [job.args for job in self.jobs] == [[4]]
        assert self.run_all() == 1
        result.refresh()
        assert result.return_value == 8

    def test_a_job_that_waits_for_the_commit_runs_after_it(self) -> None:
        on_commit = tasks.double.using(timing="on_commit")
        with self.committing():
            result = on_commit.enqueue(4)
            assert (result.timing, self.jobs) == ("on_commit", [])
        assert self.run_all() == 1
        result.refresh()
        assert (result.timing, result.return_value) == ("on_commit", 8)

    def test_a_savepoint_that_is_rolled_back_leaves_no_job(self) -> None:
        with self.committing(), transaction.atomic():
            tasks.double.using(timing="on_commit").enqueue(1)
            tasks.double.using(timing="outbox").enqueue(2)
            transaction.set_rollback(True)
        assert (self.jobs, self.run_all()) == ([], 0)

    def test_a_row_of_the_outbox_is_handed_on(self) -> None:
        result = tasks.double.using(timing="outbox").enqueue(4)
        assert (result.timing, self.jobs) == ("outbox", [])
        assert self.run_all() == 1
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM taskbridge_outbox")
            assert cursor.fetchone() == (0,)

    def test_an_effect_happens_once_in_the_transaction_of_a_task_of_djangos_own_decorator(self) -> None:
        result = tasks.charge.enqueue()
        self.run_all()
        result.refresh()
        assert result.return_value == [True, False]

    def test_aliases_keep_their_jobs_apart_and_all_run(self) -> None:
        tasks.double.using(backend="Second", queue_name="second").enqueue(1)
        tasks.double.enqueue(2)
        assert len(self.jobs) == 2
        assert self.run_all() == 2


def said(**changed: Any) -> list[tuple[str | None, str]]:
    """What `manage.py check` says with other settings, as far as it is ours."""
    with override_settings(**changed):
        return [(each.id, each.msg) for each in run_checks() if str(each.id).startswith("taskbridge.")]


def ids(**changed: Any) -> set[str | None]:
    return {found for found, _ in said(**changed)}


def with_default(**options: Any) -> dict[str, Any]:
    """`TASKS` with another URL of the alias `default`."""
    other = {"BACKEND": "taskbridge.django.Backend", "QUEUES": ["default", "mail"], "OPTIONS": options}
    return {**settings.TASKS, "default": other}


def test_a_sound_project_hears_nothing() -> None:
    assert ids(TASKS=with_default(url="huey+sqlite:///./queue.db")) <= {"taskbridge.W001"}


def test_an_alias_that_cannot_be_opened_is_an_error() -> None:
    found = dict(said(TASKS=with_default(url="rq+redis://localhost", colour="red")))
    assert "unknown option 'colour'" in found["taskbridge.E001"]


def test_jobs_that_would_end_with_the_process_are_a_warning() -> None:
    assert "taskbridge.W001" in ids(TASKS=with_default(url="memory://"), DEBUG=False)
    assert "taskbridge.W001" not in ids(TASKS=with_default(url="memory://"), DEBUG=True)


def test_jobs_that_do_not_wait_for_the_commit_of_a_request_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ATOMIC_REQUESTS", True)
    url = "huey+sqlite:///./queue.db"
    waiting = {"BACKEND": "taskbridge.django.Backend", "OPTIONS": {"url": f"{url}?timing=on_commit"}}
    for timing, expected in (("now", True), ("on_commit", False), ("outbox", False)):
        found = ids(TASKS={**with_default(url=url, timing=timing), "Second": waiting, "Any": waiting})
        assert ("taskbridge.W002" in found) is expected


def test_tasks_that_say_when_they_go_are_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ATOMIC_REQUESTS", True)
    monkeypatch.setattr("taskbridge.django.checks._loaded_tasks", lambda: [tasks.double.using(timing="on_commit")])
    monkeypatch.setattr("taskbridge.django.checks.registry", [])
    assert "taskbridge.W002" not in ids(TASKS={"default": with_default(url="huey+sqlite:///./queue.db")["default"]})


class ToAnother:
    """A database router that wants the outbox elsewhere."""

    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return "other" if model._meta.label == "taskbridge.OutboxRow" else None


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A second database, in which the outbox is."""
    other = connections.create_connection("default")
    other.alias = "other"
    monkeypatch.setitem(connections.settings, "other", dict(settings.DATABASES["default"]))
    with override_settings(DATABASE_ROUTERS=[ToAnother()]):
        connections["other"] = other
        yield {"DATABASE_ROUTERS": [ToAnother()]}
        other.close()
        del connections["other"]


def test_an_outbox_apart_from_the_transactions_of_the_code_is_a_warning(
    another: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = with_default(url="huey+sqlite:///./queue.db", timing="outbox")
    assert "taskbridge.W007" not in ids(TASKS=waiting, **another)
    with monkeypatch.context() as patch:
        patch.setattr("taskbridge.django.checks._timings", lambda _alias: {"outbox": {"django_tasks_database"}})
        guessed = dict(said(TASKS=waiting, **another))["taskbridge.W007"]
    assert "Which transactions it opens cannot be seen" in guessed, "it may be wrong: so it says"
    monkeypatch.setitem(settings.DATABASES["default"], "ATOMIC_REQUESTS", True)
    assert "taskbridge.W007" in ids(TASKS=waiting, **another)
    assert "taskbridge.W007" not in ids(TASKS=waiting, DATABASE_ROUTERS=[])


def test_an_outbox_that_nobody_hands_on_is_a_warning(another: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = with_default(url="huey+sqlite:///./queue.db", timing="outbox")
    monkeypatch.setenv("TASKBRIDGE_OUTBOX", "django://default")
    assert "taskbridge.W008" in ids(TASKS=waiting, **another)
    assert "taskbridge.W008" not in ids(TASKS=waiting, DATABASE_ROUTERS=[])


def test_an_outbox_in_a_database_that_can_have_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = with_default(url="huey+sqlite:///./queue.db", timing="outbox")
    assert "taskbridge.E004" not in ids(TASKS=waiting)
    monkeypatch.setattr(connection, "vendor", "oracle")
    assert "taskbridge.E004" in ids(TASKS=waiting)


def test_kept_connections_that_nobody_looks_after_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.postgresql")
    monkeypatch.setitem(settings.DATABASES["default"], "CONN_MAX_AGE", None)
    assert "taskbridge.W003" in ids()
    monkeypatch.setitem(settings.DATABASES["default"], "CONN_HEALTH_CHECKS", True)
    assert "taskbridge.W003" not in ids()


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("redis://127.0.0.1:6379/1", True),
        (["redis://other", "rediss://:secret@127.0.0.1/2"], True),
        ("redis://127.0.0.1:6380", False),
        ("redis://127.0.0.1:no", False),
        ("unix:///run/redis.sock", False),
    ],
)
def test_a_cache_on_the_redis_server_of_the_jobs_is_a_warning(location: object, expected: bool) -> None:
    caches = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": location}}
    found = ids(TASKS=with_default(url="rq+redis://127.0.0.1"), CACHES=caches)
    assert ("taskbridge.W006" in found) is expected


def test_naive_times_are_a_warning() -> None:
    assert "taskbridge.W004" in ids(USE_TZ=False)


def test_a_task_that_its_engine_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.apps.apps.ready", False)
    tasks.declared_early = tasks.task(priority=7)(tasks.plain)
    monkeypatch.undo()
    try:
        found = said(TASKS=with_default(url="rq+redis://127.0.0.1:1"))
        assert [(code, "plain" in words) for code, words in found if code in ("taskbridge.E002", "taskbridge.E003")]
    finally:
        del tasks.declared_early


def test_options_that_a_backend_does_not_read_are_a_warning() -> None:
    stock = {"BACKEND": f"{framework.MODULE}.backends.dummy.DummyBackend", "QUEUES": []}
    found = [words for code, words in said(TASKS={**with_default(), "default": stock}) if code == "taskbridge.W005"]
    assert any("stubborn" in words for words in found)


def refuse_missing_migrations() -> None:
    """Fail, and say what to write, where the tables have a step that no migration runs."""
    known = sorted(MigrationLoader(None).disk_migrations.items())
    ours = [migration for (app, _), migration in known if app == "taskbridge"]
    steps = [each.application_step for one in ours for each in one.operations if isinstance(each, Tables)]
    newest = len(schema.APPLICATION_STEPS)
    assert steps == sorted(set(steps))
    assert steps[-1] == newest, (
        f"APPLICATION_STEPS has {newest} steps and the migrations run {steps[-1]}: write a migration "
        f"{len(ours) + 1:04}_<what>.py with the operation Tables(application_step={newest}), "
        f"and bring the model OutboxRow up to date if its table has changed."
    )


def test_every_step_of_the_tables_has_a_migration() -> None:
    refuse_missing_migrations()
    call_command("makemigrations", "taskbridge", check_changes=True, dry_run=True, verbosity=0)


def test_a_step_without_a_migration_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "APPLICATION_STEPS", (*schema.APPLICATION_STEPS, ("SELECT 1",)))
    with pytest.raises(AssertionError, match=r"0003_<what>\.py with the operation Tables\(application_step=3\)"):
        refuse_missing_migrations()


def test_the_tables_outlive_a_step_back_and_go_with_the_first_migration() -> None:
    table = open_outbox("django://default")
    try:
        call_command("migrate", "taskbridge", "0001", verbosity=0, skip_checks=True)
        assert table.exists()
        call_command("migrate", "taskbridge", "zero", verbosity=0, skip_checks=True)
        assert not table.exists()
    finally:
        call_command("migrate", "taskbridge", verbosity=0, skip_checks=True)
    assert table.exists()


def test_a_template_that_names_a_task_does_not_run_it() -> None:
    runs: list[int] = []
    task: Task[[], None, None] = Task(
        lambda: runs.append(1), TaskOptions(name="named"), Codec(print, name="named"), "nowhere.named"
    )
    assert Engine().from_string("{{ task.name }}").render(Context({"task": task})) == "named"
    assert runs == []


@pytest.mark.parametrize("verb", ["check", "result", "dead", "outbox", "worker", "enqueue", "periodic", "cancel"])
def test_every_verb_of_the_command_line_is_one_of_manage_py(verb: str) -> None:
    with redirect_stdout(io.StringIO()) as told:
        call_command("taskbridge", verb, "--help")
    assert f"manage.py taskbridge {verb}" in told.getvalue()


def test_the_command_line_knows_the_settings_and_the_tasks_of_the_project() -> None:
    with redirect_stdout(io.StringIO()) as told:
        call_command("taskbridge", "check", "--json", "--backend", "default")
    (checked,) = json.loads(told.getvalue())["backends"]
    assert (checked["alias"], checked["origin"]) == ("default", "TASKS['default']")
    assert checked["tasks"] >= 10
