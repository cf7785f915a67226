"""`make bench` itself: its table, and that a broken promise is a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskbridge_compare.bench import drain_rows, enqueue_rows, key_rows, run, wake_rows
from taskbridge_compare.bench.late import late
from taskbridge_compare.bench.row import Row, not_run, table
from taskbridge_compare.drivers import rows
from taskbridge_compare.workload import SHIPPED, load


def test_a_table_has_its_sections_in_turn_and_no_empty_cell_without_a_reason() -> None:
    good = Row(section="One", subject="rq+redis", value="x1.00", target="<= x1.10", verdict="pass", durability="none")
    text = table([good, not_run("Two", "celery+amqp", "no RabbitMQ: apt-get install rabbitmq-server")])
    lines = text.splitlines()
    assert lines[0] == "One"
    assert lines[1].split() == ["pass", "rq+redis", "x1.00", "<=", "x1.10", "none"]
    assert lines[3] == "Two"
    assert lines[4].split()[:4] == ["not", "run", "celery+amqp", "no"]
    assert lines[4].endswith("apt-get install rabbitmq-server")


@pytest.mark.parametrize(
    ("target", "paired", "fastest", "verdict"),
    [(5.0, 6.0, 5.5, "pass"), (5.0, 6.0, 4.0, "noisy"), (5.0, 4.9, 4.8, "FAIL"), (None, 0.1, 0.1, "pass")],
)
def test_a_bulk_target_is_missed_only_if_both_ratios_miss_it(
    target: float | None, paired: float, fastest: float, verdict: str
) -> None:
    assert enqueue_rows.verdict(target, paired, fastest) == verdict


@pytest.mark.parametrize(
    ("wakes", "is_busy", "verdict"),
    [
        ([10, 20, 49, 400, 400], False, "pass"),
        ([10, 20, 60, 60, 60], False, "FAIL"),
        ([10, 20, 60, 60, 60], True, "noisy"),
        ([60, 60, 60, 60, 60], True, "FAIL"),
    ],
)
def test_a_late_wake_is_excused_only_by_a_busy_machine(wakes: list[float], is_busy: bool, verdict: str) -> None:
    assert wake_rows.verdict(wakes, is_busy=is_busy) == verdict


@pytest.mark.parametrize(
    ("theirs", "ours", "verdict"),
    [
        ([100, 101, 99], [97, 97, 97], "pass"),
        ([100, 101, 99], [90, 91, 89], "FAIL"),
        ([100, 140, 90], [90, 91, 89], "noisy"),
        ([100, 120, 140], [90, 100, 110], "noisy"),
        ([100, 101, 99], [90, 90, 99], "noisy"),
        ([100, 140, 90] * 10, [90, 126, 81] * 10, "FAIL"),
        ([100, 140] * 15, [90, 137] * 15, "noisy"),
    ],
)
def test_a_slower_drain_fails_only_where_the_same_code_differs_less_or_many_pairs_say_so(
    theirs: list[float], ours: list[float], verdict: str
) -> None:
    assert drain_rows.verdict(theirs, ours) == verdict


@pytest.mark.parametrize(
    ("theirs", "ours", "verdict"),
    [
        ([10.0] * 9, [10.5] * 9, "pass"),
        ([10.0] * 9, [11.0] * 9, "FAIL"),
        ([1.0, 10, 30] * 3, [2.0, 11, 31] * 3, "noisy"),
    ],
)
def test_a_later_wake_fails_only_where_no_resampling_reaches_the_target(
    theirs: list[float], ours: list[float], verdict: str
) -> None:
    assert wake_rows.beside_native(rows()[0], theirs, ours, is_busy=False).verdict == verdict
    on_a_busy_machine = wake_rows.beside_native(rows()[0], theirs, ours, is_busy=True).verdict
    assert on_a_busy_machine == ("pass" if verdict == "pass" else "noisy")


@pytest.mark.parametrize(
    ("kind", "added", "verdict"),
    [
        (key_rows.WITH_RESULT, 0, "pass"),
        (key_rows.WITH_RESULT, 1, "FAIL"),
        (key_rows.WITHOUT, 1, "pass"),
        (key_rows.WITHOUT, 2, "FAIL"),
    ],
)
def test_a_key_that_costs_more_round_trips_than_was_asked_breaks_a_promise(kind: str, added: int, verdict: str) -> None:
    assert key_rows.verdict(kind, added) == verdict


def test_every_backend_has_a_late_ack_profile_of_the_engine_to_be_held_against() -> None:
    workload = load(SHIPPED)
    natives = [driver for driver in rows() if driver.profile == "native"]
    for native in natives:
        first_steps = native.application(workload, "redis://127.0.0.1/0", slots=None)
        tuned = late(native, native).application(workload, "redis://127.0.0.1/0", slots=None)
        assert (tuned.worker, tuned.environment) != (first_steps.worker, first_steps.environment), native.backend


@pytest.mark.parametrize(("verdict", "code"), [("pass", 0), ("noisy", 0), ("FAIL", 1)])
def test_the_exit_code_says_whether_a_promise_is_broken(
    verdict: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Row(section="One", subject="huey+sqlite", value="1", target="2", verdict=verdict, samples=[1.0])  # type: ignore[arg-type]  # parametrized
    monkeypatch.setattr(run.Bench, "rows", lambda _bench: iter([row]))
    printed: list[str] = []
    assert run.main(["--json", str(tmp_path / "bench.json")], write=printed.append) == code
    assert f"{code} of 1 broken" in "".join(printed)
    assert json.loads((tmp_path / "bench.json").read_text())["rows"] == [row.plain()]
