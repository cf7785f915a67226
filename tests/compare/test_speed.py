from __future__ import annotations

import pytest

from taskbridge_compare import tables
from taskbridge_compare.speed.counting import difference, shown
from taskbridge_compare.speed.number import unmeasured
from taskbridge_compare.speed.statistics import band, is_noisy, paired_ratio, percentile


def test_percentiles_are_samples_and_not_inventions() -> None:
    samples = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(samples, rank) for rank in (20, 50, 95, 99, 100)] == [1.0, 3.0, 5.0, 5.0, 5.0]


def test_a_ratio_is_the_median_of_rounds_so_that_a_slow_round_does_not_decide() -> None:
    native, ours = [1.0, 1.0, 10.0], [1.1, 1.1, 10.0]
    assert paired_ratio(ours, native) == pytest.approx(1.1)
    assert band(native, [1.0, 2.0, 10.0]) == (0.5, 1.0)


def test_noise_is_a_wide_middle_half() -> None:
    assert not is_noisy([*[1.0 + step / 100 for step in range(9)], 50.0])
    assert is_noisy([1.0, 1.0, 2.0, 3.0, 3.0])


def test_commands_are_counted_by_difference() -> None:
    calls = difference({"lpush": 3, "ping": 9}, {"lpush": 13, "ping": 9, "hdel": 5})
    assert calls == {"lpush": 10, "hdel": 5}
    assert shown(calls, 10) == "LPUSH 1.0, HDEL 0.5"


def test_a_number_that_cannot_be_had_says_why_and_a_missing_one_is_unknown() -> None:
    rows = [
        {"backend": "huey+sqlite", "profile": "native", "durability": "fsync"},
        {"backend": "huey+sqlite", "profile": "taskbridge", "durability": "fsync"},
    ]
    number = unmeasured("huey+sqlite", "native", "commands", "commands", "no server to ask").plain()
    first, second = tables.speed({"rows": rows, "speed": [number]}).rows
    assert [cell.text for cell in first] == ["huey+sqlite", "native", "no server to ask", "fsync"]
    assert second[2].text == "unknown"


def test_a_busy_machine_is_told_before_its_numbers() -> None:
    machine = {"load_average": [6.0, 5.0, 4.0], "usable_processors": 2}
    assert "load average 6.0 on 2 processors" in tables.warning({"machine": machine})
    assert tables.warning({"machine": {**machine, "load_average": [0.3, 5.0, 4.0]}}) == ""
