"""Leases of Django workers: when one is over, and who finds out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from taskbridge_django_tasks.watch import LOOK_SECONDS, LOOKS, Lease, looks_worth
from tests.django.conftest import QUIET_SECONDS

if TYPE_CHECKING:
    from tests.django.conftest import Project

BUSY = """
import sqlite3, subprocess, sys, time
from taskbridge_django_tasks.lease import LeaseTable
from taskbridge_django_tasks import lease
HOG = '''
import sqlite3, sys, time
file = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
end = time.monotonic() + 15
print("up", flush=True)
while time.monotonic() < end:
    file.execute("BEGIN IMMEDIATE")
    file.execute("UPDATE django_tasks_database_dbtaskresult SET priority = 1")
    time.sleep(0.03)
    file.execute("COMMIT")
    time.sleep(0.003)
'''
leases = LeaseTable("default")
leases.create()
file = os.environ["TEST_DATABASE"].removeprefix("sqlite:///")
hog = subprocess.Popen([sys.executable, "-c", HOG, file], stdout=subprocess.PIPE)
hog.stdout.readline()
waits = []
for _ in range(20):
    begun = time.monotonic()
    leases.renew("a", stopping=False)
    waits.append(time.monotonic() - begun)
    time.sleep(0.05)
hog.kill()
hog.wait()
print(json.dumps(sorted(waits)[10:]))
"""
STEPS = """
from taskbridge_django_tasks import lease, recovery
recovery = recovery.Recovery("taskbridge-me")
table = recovery._leases
table.create()
found = []
for hours in (-1, 1, 1):
    table.renew("taskbridge-other", stopping=False)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {lease.TABLE} SET changed_at = changed_at + %s", [hours * 3_600_000_000])
    for _ in range(6):
        recovery._recover()
    found.append(table.read()["taskbridge-other"].looks)
print(json.dumps(found))
"""


def test_a_job_runs_again_at_once_although_no_worker_lives_for_long(project: Project) -> None:
    project.hold()
    killed = project.worker()
    project.until(lambda: project.written("holds"), killed)
    killed.kill_tree()
    for lives in range(1, 4):
        worker = project.worker()
        project.until(lambda: len(leases(project)) > lives, worker)  # noqa: B023 - called in this turn of the loop
        end = time.monotonic() + 3
        while len(project.written("holds")) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        worker.kill_tree()
        if len(project.written("holds")) > 1:
            break
    assert len(project.written("holds")) > 1


def test_what_short_lived_workers_have_seen_of_another_hosts_adds_up(project: Project) -> None:
    project.hold()
    killed = project.quick_worker("on another host")
    project.until(lambda: project.written("holds"), killed)
    killed.kill_tree()
    ((dead, _),) = leases(project).items()
    while (seen := leases(project)[dead]) < LOOKS:
        worker = project.quick_worker("looks as it starts, and never again")
        project.until(lambda: leases(project)[dead] > seen, worker)
        worker.kill_tree()
    heir = project.quick_worker()
    project.until(lambda: len(project.written("holds")) == 2, heir)
    project.until(lambda: len(leases(project)) == 1, heir)


@pytest.mark.parametrize("between", [0.5, 2.0, 4.3, 4.5, 8.0, 12.0])
def test_a_silent_worker_is_dead_after_eight_seconds_and_before_thirty(between: float) -> None:
    """Whatever the pace of those who look, be it that of workers which are killed as soon as they begin."""
    for phase in range(100):
        looked = between * phase / 100
        changed, looks = 0.0, 0
        while looks < LOOKS:
            worth = looks_worth(Lease(0, looks, stopping=False, age=looked - changed))
            looks, changed = looks + worth, looked if worth else changed
            looked += between
        assert 8.0 <= changed < 29.0


def leases(project: Project) -> dict[str, int]:
    """The workers that have one, with the looks in vain."""
    return dict(project.query("SELECT worker_id, looks FROM taskbridge_django_leases"))


@pytest.mark.parametrize(("bug", "runs"), [("", 1), ("forgotten renewal", 2)])
def test_a_long_job_is_not_taken_from_a_worker_that_lives(on_sqlite: Project, bug: str, runs: int) -> None:
    opened = on_sqlite.hold()
    first = on_sqlite.quick_worker(bug)
    on_sqlite.until(lambda: on_sqlite.written("holds"), first)
    second = on_sqlite.quick_worker()
    if runs == 2:
        on_sqlite.until(lambda: len(on_sqlite.written("holds")) == 2, second)
    else:
        time.sleep(QUIET_SECONDS)
        assert len(on_sqlite.written("holds")) == 1
    on_sqlite.folder.joinpath(opened).touch()
    on_sqlite.finish(second, jobs=1)


def test_a_lease_is_renewed_in_time_beside_busy_writers(on_sqlite: Project) -> None:
    waits = on_sqlite.enqueue(BUSY)
    assert waits[-2] < LOOK_SECONDS / 2, "SQLite's own wait asks each 100 ms, and a writer leaves 3 ms between two"


def test_a_clock_that_is_set_brings_one_look_too_early_and_no_more(project: Project) -> None:
    assert project.enqueue(STEPS) == [1, 1, 1]
