"""`make bench` itself: its table, and that a broken promise is a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskbridge_compare.bench import enqueue_rows, run, wake_rows
from taskbridge_compare.bench.row import Row, not_run, table


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
