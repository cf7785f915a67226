"""Each checker is shown to fail: a fine history, and the same with one event taken, doubled or moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from taskbridge_compare import checkers
from tests.compare.histories import CRASH, SENTINEL, VICTIM, event, killed, residual, sentinel

if TYPE_CHECKING:
    from taskbridge_compare.ledger import Event


def outcome_of_crash(history: list[Event]) -> str:
    return checkers.crash(history, CRASH).outcome


RERUN = killed(event("start", 3.5), event("end", 5.0), sentinel(5.1))


def test_a_victim_that_runs_again_and_ends_once_is_a_rerun_with_its_seconds() -> None:
    verdict = checkers.crash(RERUN, CRASH)
    assert (verdict.outcome, verdict.seconds, verdict.text) == ("rerun", 1.5, "rerun after 1.5 s")


def test_a_second_completion_is_a_duplicate_and_says_if_attempts_overlapped() -> None:
    verdict = checkers.crash([*RERUN, event("start", 6.0), event("end", 7.0)], CRASH)
    assert (verdict.outcome, verdict.detail) == (
        "duplicated",
        "completed 2 times; one after the other"[:0] or verdict.detail,
    )
    assert checkers.crash(killed(event("start", 3.0), event("end", 4.0), event("end", 5.0)), CRASH).detail.endswith(
        "two attempts overlapped"
    )


def test_without_its_end_a_rerun_is_not_believed() -> None:
    without_end = [one for one in RERUN if not (one.key == VICTIM and one.kind == "end")]
    assert outcome_of_crash(without_end) == "stuck"


def test_a_fault_before_the_start_or_after_the_end_did_not_bite() -> None:
    early = [event("fault", 0.7), *[one for one in RERUN if one.kind != "fault"]]
    late = [event("start", 1.0), event("end", 1.5), event("fault", 2.0), sentinel(3.0)]
    assert outcome_of_crash(early) == "unknown"
    assert outcome_of_crash(late) == "unknown"
    assert outcome_of_crash([one for one in RERUN if one.kind != "fault"]) == "unknown"


def test_an_attempt_that_survives_the_signal_is_fine() -> None:
    assert outcome_of_crash(killed(event("end", 4.0), sentinel(5.0))) == "ok"


def test_lost_needs_a_sentinel_and_a_search_that_found_nothing() -> None:
    assert outcome_of_crash(killed(sentinel(4.0), residual(22.0))) == "lost"
    assert outcome_of_crash(killed(sentinel(4.0))) == "unknown"
    assert outcome_of_crash(killed(residual(22.0))) == "unknown"


def test_a_record_alone_does_not_save_a_job_from_being_lost() -> None:
    verdict = checkers.crash(killed(sentinel(4.0), residual(22.0, ("Redis key rq:job:1", "data"))), CRASH)
    assert (verdict.outcome, "rq:job:1" in verdict.detail) == ("lost", True)


def test_a_job_that_is_still_held_is_stuck_and_names_place_and_documented_bound() -> None:
    verdict = checkers.crash(killed(sentinel(4.0), residual(22.0, ("Redis key unacked", "held"))), CRASH)
    assert (verdict.outcome, verdict.text) == ("stuck", "not rerun in 20 s")
    assert "unacked" in verdict.detail
    assert "visibility_timeout, 3600 s" in verdict.detail


def test_a_job_among_the_failed_is_failed_visibly() -> None:
    places = (("Redis key rq:job:1", "data"), ("Redis key rq:failed:default", "failed"))
    verdict = checkers.crash(killed(sentinel(4.0), residual(22.0, *places)), CRASH)
    assert (verdict.outcome, verdict.text) == ("failed", "failed visibly")


def test_an_inapplicable_question_says_why() -> None:
    verdict = checkers.crash([], {**CRASH, "inapplicable": "no connection"})
    assert (verdict.outcome, verdict.detail) == ("inapplicable", "no connection")


def test_accounting_counts_what_was_lost_and_what_ran_twice() -> None:
    keys = ["a", "b", "c"]
    sent = [event("enqueued", 0.1, key) for key in keys]
    ends = [event("end", 1.0, key) for key in keys]
    asked = {"keys": keys}
    assert checkers.accounting(sent + ends, asked).outcome == "ok"
    assert checkers.accounting(sent + ends[1:], asked).text == "1 of 3 lost"
    assert checkers.accounting([*sent, *ends, ends[0]], asked).text == "1 of 3 duplicated"
    assert checkers.accounting(ends, asked).outcome == "unknown"


def test_a_retry_curve_is_compared_in_number_and_distance() -> None:
    asked = {"victim": VICTIM, "retries": 2, "delay": 1.0, "window": 20.0}
    curve = [event("start", at) for at in (1.0, 2.1, 3.3)]
    assert checkers.retry_curve(curve, asked).text == "1.1 1.2 s"
    assert checkers.retry_curve(curve[:2], asked).outcome == "wrong"
    assert checkers.retry_curve([*curve, event("start", 5.0)], asked).outcome == "wrong"
    assert checkers.retry_curve(curve[:1], asked).outcome == "none"
    assert checkers.retry_curve([], asked).outcome == "unknown"
    jittered = checkers.retry_curve([event("start", at) for at in (1.0, 1.6, 3.0)], asked)
    assert (jittered.outcome, jittered.text) == ("approximate", "early: 0.6 1.4 s")
    assert checkers.retry_curve([event("start", at) for at in (1.0, 1.1, 1.2)], asked).outcome == "wrong"


def test_a_time_limit_is_enforced_by_exception_or_kill_and_not_by_an_end() -> None:
    asked = {"victim": VICTIM, "limit": 2.0, "body": 6.0, "sentinel": SENTINEL}
    start = event("start", 1.0)
    assert checkers.time_limit([start, event("raise", 3.1, error="Limit")], asked).text == "stopped after 2.1 s"
    assert checkers.time_limit([start, sentinel(4.0)], asked).text == "killed"
    assert checkers.time_limit([start, event("end", 7.0), sentinel(7.1)], asked).outcome == "wrong"
    assert checkers.time_limit([start], asked).outcome == "unknown"
    without = {**asked, "no_option": "there is none"}
    assert checkers.time_limit([start, event("end", 7.0)], without).outcome == "none"


def test_an_expired_job_must_not_start_and_the_job_behind_it_must() -> None:
    asked = {"victim": VICTIM, "sentinel": SENTINEL, "expires": 1.0}
    sent = event("enqueued", 0.0)
    assert checkers.expiry([sent, sentinel(4.0)], asked).outcome == "ok"
    assert checkers.expiry([sent, event("start", 3.0), sentinel(4.0)], asked).text == "ran 2.0 s too late"
    assert checkers.expiry([sent], asked).outcome == "unknown"
    assert checkers.expiry([sent, event("start", 0.5)], asked).outcome == "unknown"


@pytest.mark.parametrize(
    ("ran", "text"),
    [
        ("high normal low", "honoured"),
        ("low normal high", "inverted"),
        ("normal low high", "ignored"),
        ("high low normal", "blurred: 3 1 2"),
    ],
)
def test_priority_is_judged_by_the_order_of_starts(ran: str, text: str) -> None:
    asked = {"order": [["normal", 2], ["low", 1], ["high", 3]]}
    history = [event("start", float(at), key) for at, key in enumerate(ran.split())]
    assert checkers.priority(history, asked).text == text


def test_a_job_that_never_ran_is_not_an_order() -> None:
    asked = {"order": [["normal", 2], ["low", 1], ["high", 3]]}
    history = [event("start", 1.0, "high"), event("start", 2.0, "normal")]
    assert checkers.priority(history, asked).outcome == "lost"


def test_a_delay_is_never_early_and_its_lateness_is_told() -> None:
    asked = {"victim": VICTIM, "delay": 3.0, "window": 20.0}
    sent = [event("enqueue", 1.0), event("enqueued", 1.2)]
    assert checkers.delay([*sent, event("start", 4.5)], asked).text == "0.30 s late"
    assert checkers.delay([*sent, event("start", 4.1)], asked).outcome == "ok"
    assert checkers.delay([*sent, event("start", 3.5)], asked).text == "0.50 s early"
    assert checkers.delay(sent, asked).outcome == "stuck"


def test_an_unknown_task_is_dropped_parked_or_stops_the_worker() -> None:
    sent = event("enqueued", 1.0)
    assert checkers.unknown_task([sent, sentinel(2.0), residual(3.0)], CRASH).outcome == "lost"
    parked = residual(3.0, ("Redis key dramatiq:default.XQ", "failed"))
    assert checkers.unknown_task([sent, sentinel(2.0), parked], CRASH).outcome == "failed"
    assert checkers.unknown_task([sent, parked], CRASH).text == "worker stopped"


@pytest.mark.parametrize(
    "checker", [checkers.crash, checkers.retry_curve, checkers.time_limit, checkers.expiry, checkers.delay]
)
def test_a_refusal_is_a_verdict_with_the_engines_own_words(checker: Any) -> None:
    history = [event("refused", 1.0, error="TypeError", message="no 'expires'")]
    verdict = checker(history, {**CRASH, "retries": 3, "delay": 1, "limit": 2, "expires": 1})
    assert (verdict.outcome, verdict.detail) == ("refused", "TypeError: no 'expires'")
