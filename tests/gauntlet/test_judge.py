"""The judge can say each of its words, and each planted fault of a history turns it red."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskbridge_compare.gauntlet.explain import ACK_WINDOW_SECONDS, RECONNECT_SECONDS, SLOW_ACK_WINDOW_SECONDS
from taskbridge_compare.gauntlet.judge import BAR_SECONDS, judge
from tests.gauntlet.histories import TOKEN, asked, began, enqueued, event, history, killed, ran, residual, served

if TYPE_CHECKING:
    from taskbridge_compare.ledger import Event

# Job 1 is cut by the kill at 2.0 and runs again; job 2 runs once, after it.
GOOD = history(enqueued(1, 2), began(1, 1.0), killed(2.0, 10), ran(1, 9.0, 9.1, pid=20), ran(2, 9.2, 9.3), served())


def test_a_cut_job_that_runs_again_is_green_and_its_recovery_is_timed() -> None:
    found = judge(GOOD, asked(2))
    assert (found.colour, found.extra, found.recovery) == ("green", {"cut": 1}, (7.0,))
    assert (found.confirmed, found.struck, found.cut) == (2, 1, 1)


def test_a_process_that_was_being_forked_while_its_tree_was_killed_is_cut_too() -> None:
    begun = [event("start", 2.05, f"{TOKEN}-1", pid=77, parent=10)]
    late = history(enqueued(1, 2), begun, killed(2.0, 10), ran(1, 9.0, 9.1, pid=20), ran(2, 9.2, 9.3), served())
    assert judge(late, asked(2, strikes=0)).extra == {"cut": 1}


def test_what_never_ran_again_and_lies_nowhere_is_lost() -> None:
    without = [one for one in GOOD if not (one.key == f"{TOKEN}-1" and one.at > 2)]
    found = judge(history(without, residual(1)), asked(2))
    assert (found.colour, found.lost, found.stuck) == ("red", (f"{TOKEN}-1",), ())


@pytest.mark.parametrize(
    ("states", "fate"),
    [(["held"], "stuck"), (["waiting", "data"], "stuck"), (["data"], "lost"), (["failed", "held"], "parked")],
)
def test_where_an_uncompleted_job_lies_says_what_became_of_it(states: list[str], fate: str) -> None:
    without = [one for one in GOOD if not (one.key == f"{TOKEN}-1" and one.at > 2)]
    found = judge(history(without, residual(1, *states)), asked(2))
    assert (found.colour, getattr(found, fate)) == ("red", (f"{TOKEN}-1",))


def test_an_uncompleted_job_that_nobody_searched_for_is_red_too() -> None:
    without = [one for one in GOOD if not (one.key == f"{TOKEN}-1" and one.at > 2)]
    assert judge(without, asked(2)).unsearched == (f"{TOKEN}-1",)


def test_a_job_that_never_began_is_lost_as_well() -> None:
    found = judge(history(GOOD, enqueued(3), residual(3)), asked(3))
    assert (found.colour, found.lost) == ("red", (f"{TOKEN}-3",))


def test_a_second_run_of_an_uncut_job_is_unexplained() -> None:
    """Forgotten renewal: the lease runs out while the job runs, and another worker starts it beside the first."""
    doubled = history(GOOD, enqueued(3), ran(3, 20.0, 40.0, pid=20), ran(3, 30.0, 31.0, pid=21))
    found = judge(doubled, asked(3))
    assert (found.colour, found.unexplained, found.extra["unexplained"]) == ("red", (f"{TOKEN}-3",), 1)


def test_a_zombie_that_ends_after_its_replacement_began_is_unexplained() -> None:
    """A lease without fencing, and no kill: a paused worker goes on, and the job has run twice."""
    doubled = history(GOOD, enqueued(3), ran(3, 20.0, 50.0, pid=20), ran(3, 35.0, 36.0, pid=21))
    assert judge(doubled, asked(3)).unexplained == (f"{TOKEN}-3",)


def paused(begin: float, end: float, *pids: int) -> list[Event]:
    return [
        event("fault", begin, fault="pause", number=7, pids=list(pids)),
        event("resumed", end, number=7),
    ]


def test_a_pause_explains_what_replaced_the_paused_and_what_the_resumed_had_in_hand() -> None:
    """Job 3 slept through the pause in process 30; job 4 lay there, and was run by 31 and then by 30."""
    twice = history(ran(3, 20.0, 40.1, pid=30), ran(3, 35.0, 36.0, pid=31), ran(4, 37.0, 37.1, pid=31))
    twice = history(GOOD, enqueued(3, 4), twice, ran(4, 40.2, 40.3, pid=30), paused(21.0, 40.0, 30))
    found = judge(twice, asked(4))
    assert (found.colour, found.zombies) == ("green", 1), found.text
    assert found.extra == {"cut": 1, "worker paused": 1, "worker resumed": 1}
    late = history(twice, ran(3, 60.0, 60.1, pid=30))
    assert judge(late, asked(4)).unexplained == (f"{TOKEN}-3",)


def test_what_only_a_zombie_has_completed_is_lost() -> None:
    """It acknowledged the job of its replacement, which was then killed, and no other followed."""
    gone = history(GOOD, enqueued(3), ran(3, 20.0, 40.1, pid=30), began(3, 35.0, pid=31), paused(21.0, 40.0, 30))
    found = judge(history(gone, killed(40.5, 31, number=8), residual(3)), asked(3))
    assert (found.colour, found.lost) == ("red", (f"{TOKEN}-3",))


def test_a_broker_that_was_restarted_is_timed_until_a_job_that_began_then_has_ended() -> None:
    fault = [event("fault", 30.0, fault="broker SIGKILL", number=4), event("healed", 31.0, number=4)]
    held = ran(3, 29.0, 31.5)
    found = judge(history(GOOD, enqueued(3, 4), fault, held, ran(4, 33.0, 33.5)), asked(4))
    assert found.resumed == (2.5,)


def test_a_kill_explains_only_what_it_cut() -> None:
    """The first run was in another process than those that were killed."""
    doubled = history(GOOD, enqueued(3), began(3, 1.5, pid=99), ran(3, 10.0, 10.1))
    assert judge(doubled, asked(3)).unexplained == (f"{TOKEN}-3",)


def test_a_kill_explains_no_run_before_it() -> None:
    doubled = history(GOOD, enqueued(3), began(3, 1.0), ran(3, 1.5, 1.6))
    assert judge(doubled, asked(3)).unexplained == (f"{TOKEN}-3",)


def test_an_end_just_before_a_kill_may_not_have_been_acknowledged_and_is_counted_apart() -> None:
    near = 5.0 - ACK_WINDOW_SECONDS / 2
    rest = history(
        enqueued(1, 2, 3), began(2, 4.9), killed(5.0, 10), ran(2, 9.0, 9.1, pid=20), ran(1, 9.0, 9.1), served()
    )
    found = judge(history(rest, ran(3, 1.0, near), ran(3, 9.2, 9.3, pid=20)), asked(3))
    assert (found.colour, found.extra) == ("green", {"cut": 1, "not acknowledged": 1})
    far = 5.0 - ACK_WINDOW_SECONDS * 2
    assert judge(history(rest, ran(3, 0.5, far), ran(3, 9.2, 9.3, pid=20)), asked(3)).unexplained == (f"{TOKEN}-3",)


def test_a_busy_machine_may_take_longer_to_acknowledge_what_its_slot_did_last() -> None:
    far, too_far = 5.0 - ACK_WINDOW_SECONDS * 2, 5.0 - SLOW_ACK_WINDOW_SECONDS - 0.1
    rest = history(enqueued(1, 3), began(1, 4.9, pid=11), killed(5.0, 10, 11), ran(1, 9.0, 9.1, pid=20), served())
    last = judge(history(rest, ran(3, 0.5, far), ran(3, 9.2, 9.3, pid=20)), asked(2))
    assert last.extra == {"cut": 1, "not acknowledged": 1}
    assert judge(history(rest, ran(3, 0.5, too_far), ran(3, 9.2, 9.3, pid=20)), asked(2)).colour == "red"
    another = history(rest, ran(3, 0.5, far), enqueued(4), ran(4, 4.5, 4.6), ran(3, 9.2, 9.3, pid=20))
    assert judge(another, asked(3)).unexplained == (f"{TOKEN}-3",), "its slot went on, so it had been acknowledged"


def test_a_late_recovery_is_red() -> None:
    late = 2.0 + BAR_SECONDS + 1
    found = judge(history(enqueued(1), began(1, 1.0), killed(2.0, 10), ran(1, late, late + 1), served()), asked(1))
    assert (found.colour, found.recovery) == ("red", (BAR_SECONDS + 1,))


def test_a_recovery_counts_from_the_last_kill_and_the_wait_from_the_cut() -> None:
    more = killed(20.0, 20, number=1)
    found = judge(history(enqueued(1), began(1, 1.0), killed(2.0, 10), more, ran(1, 45.0, 46.0), served()), asked(1))
    assert (found.colour, found.recovery, found.waited) == ("green", (25.0,), (43.0,))


def test_an_enqueue_that_denied_its_job_must_not_run_and_a_doubtful_one_may() -> None:
    for maybe, colour in ((False, "red"), (True, "green"), (None, "green")):
        denied = event("refused", 0.5, f"{TOKEN}-3", maybe_accepted=maybe)
        found = judge(history(GOOD, [denied], ran(3, 10.0, 10.1)), asked(3))
        assert found.colour == colour, maybe
        assert bool(found.ghosts) is (maybe is False)
        assert (found.denied, found.doubtful) == ((1, 0) if maybe is False else (0, 1))
        assert judge(history(GOOD, [denied]), asked(3)).colour == "green", "and neither has to run"


def test_a_doubtful_job_that_began_belongs_to_the_broker() -> None:
    doubtful = event("refused", 0.5, f"{TOKEN}-3", maybe_accepted=True)
    found = judge(history(GOOD, [doubtful], began(3, 1.2), residual(3, "held")), asked(3))
    assert (found.colour, found.stuck) == ("red", (f"{TOKEN}-3",))


def test_an_enqueue_that_was_cut_and_sent_again_is_counted_apart() -> None:
    cut = event("cut", 0.4, f"{TOKEN}-3", number=1, way="enqueue")
    found = judge(history(GOOD, [cut], enqueued(3), ran(3, 30.0, 30.1), ran(3, 40.0, 40.1)), asked(3))
    assert (found.colour, found.extra["sent again"]) == ("green", 1)


def test_a_stop_cuts_what_its_end_interrupts_but_excuses_no_lost_acknowledgement() -> None:
    stop = [event("fault", 2.0, fault="SIGTERM", number=0), event("gone", 3.0, number=0, exit_code=0)]
    raised = [*began(1, 1.0), event("raise", 2.5, f"{TOKEN}-1", error="Shutdown")]
    found = judge(history(enqueued(1), raised, stop, ran(1, 5.0, 5.1), served()), asked(1))
    assert (found.colour, found.extra) == ("green", {"cut": 1})
    ended = history(enqueued(1, 2), raised, ran(1, 5.0, 5.1), ran(2, 2.5, 2.9), stop, ran(2, 6.0, 6.1), served())
    assert judge(ended, asked(2)).unexplained == (f"{TOKEN}-2",)
    by_force = [event("gone", 3.0, number=0, exit_code=None) if one.kind == "gone" else one for one in ended]
    assert judge(by_force, asked(2)).extra == {"cut": 1, "not acknowledged": 1}


def test_a_broken_connection_explains_what_the_worker_held_over_it() -> None:
    gap = [event("fault", 5.0, fault="broker SIGKILL", number=0), event("healed", 7.0, number=0)]
    held = history(enqueued(1), ran(1, 4.9, 5.2), ran(1, 9.0, 9.1), gap, served())
    assert judge(held, asked(1)).extra == {"broken connection": 1}
    begin = 7.5 + RECONNECT_SECONDS
    later = history(enqueued(1), ran(1, begin, begin + 1), ran(1, begin + 3, begin + 4), gap, served())
    assert judge(later, asked(1, 0)).unexplained == (f"{TOKEN}-1",)
    sooner = history(enqueued(1), ran(1, 1.0, 1.1), ran(1, 9.0, 9.1), gap, served())
    assert judge(sooner, asked(1, 0)).unexplained == (f"{TOKEN}-1",)
    assert judge(sooner, asked(1, 0, forgets=4.0)).extra == {"forgotten by the broker": 1}
    assert judge(sooner, asked(1, 0, forgets=3.0)).unexplained == (f"{TOKEN}-1",)
    second = [event("fault", 10.0, fault="broker SIGKILL", number=1), event("healed", 12.0, number=1)]
    between = history(enqueued(1), gap, ran(1, 8.0, 8.1), second, ran(1, 13.0, 13.1), served())
    assert judge(between, asked(1, 0, forgets=4.0)).extra == {"forgotten by the broker": 1}, "the last break explains"


def test_a_cut_delivery_is_timed_to_its_jobs_beginning_and_excuses_no_other_job() -> None:
    cut = [event("cut", 5.0, f"{TOKEN}-1", number=0, way="delivery")]
    found = judge(history(enqueued(1, 2), cut, ran(1, 8.0, 8.1), ran(2, 1.0, 1.1), served()), asked(2))
    assert (found.colour, found.recovery, found.struck) == ("green", (3.0,), 1)
    doubled = history(enqueued(1, 2), cut, ran(1, 8.0, 8.1), ran(2, 1.0, 1.1), ran(2, 9.0, 9.1), served())
    assert judge(doubled, asked(2)).unexplained == (f"{TOKEN}-2",)
    twice = history(enqueued(1), cut, ran(1, 8.0, 8.1), ran(1, 9.0, 9.1), served())
    assert judge(twice, asked(1)).unexplained == (f"{TOKEN}-1",), "its own delivery was cut before any of both began"


def test_a_strike_counts_only_between_a_start_and_an_end() -> None:
    misses = killed(50.0, 20, number=1)
    found = judge(history(GOOD, misses), asked(2, 2))
    assert (found.struck, found.colour, found.reasons) == (1, "unknown", ("only 1 of 2 strikes hit",))


def dropped(name: str) -> list[Event]:
    return [one for one in GOOD if one.key != name]


def test_a_drain_without_a_sentinel_or_with_too_few_jobs_proves_nothing() -> None:
    assert judge(dropped("sentinel-1"), asked(2)).reasons == ("no worker ran the sentinel job",)
    assert judge(GOOD, asked(3)).reasons == ("only 2 of 3 jobs were enqueued",)


MATTERING = [
    place for place, one in enumerate(GOOD) if one.kind != "struck" and (one.kind == "end" or one.key != "sentinel-1")
]


@pytest.mark.parametrize("place", MATTERING)
def test_without_any_one_event_a_green_history_is_judged_otherwise(place: int) -> None:
    assert judge(GOOD[:place] + GOOD[place + 1 :], asked(2)) != judge(GOOD, asked(2))
