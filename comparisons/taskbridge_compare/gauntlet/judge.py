"""The judge: a pure function from a history to what was lost, what is stuck, and what ran more often than explained.

It sees no engine, no broker and no clock, and believes nothing that the recorder says about a strike but its time and
the processes that were frozen.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from taskbridge_compare.gauntlet.executions import breaks, cut_enqueues, deaths, executions, hits, pauses
from taskbridge_compare.gauntlet.explain import explain, recoveries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskbridge_compare.gauntlet.executions import Break, Death, Execution, Pause
    from taskbridge_compare.ledger import Event

BAR_SECONDS = 30.0
"""Within this time after a kill a cut job begins again, if nothing else strikes."""

Colour = Literal["green", "red", "unknown"]
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a drain came to. The tuples of strings hold keys of jobs."""

    colour: Colour
    reasons: tuple[str, ...]
    confirmed: int
    """Enqueues that returned."""
    doubtful: int
    """Enqueues that failed, and did not say that the broker cannot hold the job."""
    denied: int
    """Enqueues that failed, and said that the broker does not hold the job."""
    struck: int
    """Strikes that counted: an attempt was between its start and its end, or a message was on its way."""
    cut: int
    """Executions that a strike ended."""
    lost: tuple[str, ...]
    """Confirmed, never completed, and nowhere in the broker."""
    stuck: tuple[str, ...]
    """Confirmed, never completed, and still in the broker."""
    parked: tuple[str, ...]
    """Confirmed, never completed, and filed as failed."""
    unsearched: tuple[str, ...]
    """Confirmed, never completed; the broker was not searched for them."""
    ghosts: tuple[str, ...]
    """Ran, although their enqueue said that the broker cannot hold them."""
    unexplained: tuple[str, ...]
    """Ran once more without a strike that explains it."""
    extra: Mapping[str, int] = field(default_factory=dict)
    """Explanation -> the number of executions, more than one a job, that it covers."""
    recovery: tuple[float, ...] = ()
    """Seconds that a worker which was left alone needed until a cut job began again, for each cut, sorted."""
    waited: tuple[float, ...] = ()
    """Seconds from each cut to its job's next beginning, whatever struck in between, sorted."""
    resumed: tuple[float, ...] = ()
    """Seconds from each restart of the broker until a job that began after it had completed, sorted."""
    zombies: int = 0
    """Executions that slept through a pause and went on beside what replaced them. They complete nothing."""

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def restore(cls, plain: Mapping[str, Any]) -> Judgement:
        """The way back from `plain`."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()
        }
        return cls(**values)

    @property
    def text(self) -> str:
        """One line."""
        again = ", ".join(f"{count} {why}" for why, count in self.extra.items()) or "none"
        refused = f", {self.doubtful} in doubt, {self.denied} denied" if self.doubtful or self.denied else ""
        numbers = f"{self.confirmed} confirmed{refused}, {self.struck} strikes, ran again: {again}"
        return f"{self.colour}: {'; '.join(self.reasons) or '0 lost, 0 stuck, each extra run explained'} ({numbers})"


def judge(history: Sequence[Event], asked: Mapping[str, Any]) -> Judgement:
    """Judge a drain. `asked` holds `token` (what the keys of its jobs begin with), `jobs`, `strikes` (how many of them
    have to count), `sentinel` (the key of the job that was sent last, whose run proves that a worker serves) and
    `broker_forgets` (seconds; see `explain`).
    """
    own = [event for event in history if event.key.startswith(asked["token"] + "-")]
    runs = executions(own)
    ends, gaps, stills = deaths(history), breaks(history), pauses(history)
    confirmed = {event.key for event in own if event.kind == "enqueued"}
    refusals = {event.key: event.extra.get("maybe_accepted") for event in own if event.kind == "refused"}
    doubtful = {key for key, maybe in refusals.items() if maybe is not False} - confirmed

    zombies = {
        id(run) for all_ in runs.values() for run in all_ if any(still.made_zombie(run, all_) for still in stills)
    }
    done = {
        key for key, all_ in runs.items() if any(run.finished is not None and id(run) not in zombies for run in all_)
    }
    never = (confirmed | (doubtful & runs.keys())) - done
    fates = _fates(never, {event.key: event.extra["places"] for event in own if event.kind == "residual"})
    surely_not = refusals.keys() - doubtful - confirmed
    fates["ran although its enqueue said that it cannot"] = sorted(surely_not & runs.keys())

    why = _repeats(
        runs, ends, gaps, stills, sent_doubtfully=cut_enqueues(own) | doubtful, forgets=asked["broker_forgets"]
    )
    fates["ran again, and no strike explains it"] = sorted(why.pop("unexplained", []))

    recovered = [one for all_ in runs.values() for one in recoveries(all_, ends, gaps)]
    recovery = sorted(one.undisturbed for one in recovered)
    reasons = [f"{len(keys)} {fate} ({', '.join(keys[:_NAMED])})" for fate, keys in fates.items() if keys]
    if recovery and recovery[-1] > BAR_SECONDS:
        reasons.append(f"a cut job began again only after {recovery[-1]:.1f} s")
    struck = len(hits(history))
    colour: Colour = "red" if reasons else "green"
    if not reasons and (doubts := _doubts(history, asked, len(confirmed | refusals.keys()), struck)):
        colour, reasons = "unknown", doubts
    lost, stuck, parked, unsearched, ghosts, again = map(tuple, fates.values())
    return Judgement(
        colour=colour,
        reasons=tuple(reasons),
        confirmed=len(confirmed),
        doubtful=len(doubtful),
        denied=len(surely_not),
        struck=struck,
        cut=sum(any(death.cut(run) for death in ends) for all_ in runs.values() for run in all_),
        lost=lost,
        stuck=stuck,
        parked=parked,
        unsearched=unsearched,
        ghosts=ghosts,
        unexplained=again,
        extra={word: len(keys) for word, keys in sorted({**why, "unexplained": again}.items()) if keys},
        recovery=tuple(round(seconds, 3) for seconds in recovery),
        waited=tuple(sorted(round(one.waited, 3) for one in recovered)),
        resumed=_resumed(runs, gaps),
        zombies=len(zombies),
    )


def _repeats(
    runs: Mapping[str, Sequence[Execution]],
    ends: Sequence[Death],
    gaps: Sequence[Break],
    stills: Sequence[Pause],
    *,
    sent_doubtfully: set[str],
    forgets: float,
) -> dict[str, list[str]]:
    """The key of each execution that follows another of its job, by what explains it."""
    slots: dict[tuple[int, object], list[float]] = defaultdict(list)
    for run in itertools.chain.from_iterable(runs.values()):
        slots[run.slot].append(run.begin)
    found: dict[str, list[str]] = defaultdict(list)
    for key, all_ in runs.items():
        for before, after in itertools.pairwise(all_):
            doubt = key in sent_doubtfully
            begun = slots[before.slot]
            why = explain(
                before, after, ends, gaps, stills, begun_in_slot=begun, sent_doubtfully=doubt, forgets=forgets
            )
            found[why].append(key)
    return found


def _resumed(runs: Mapping[str, Sequence[Execution]], gaps: Sequence[Break]) -> tuple[float, ...]:
    found = []
    for gap in (gap for gap in gaps if not gap.key):
        all_ = itertools.chain.from_iterable(runs.values())
        ends = [run.finished for run in all_ if run.finished is not None and run.begin >= gap.healed]
        found += [round(min(ends) - gap.healed, 3)] if ends else []
    return tuple(sorted(found))


def _fates(never: set[str], found: Mapping[str, Sequence[Mapping[str, str]]]) -> dict[str, list[str]]:
    """Each job that never completed, by what the search of the broker says of it."""
    fates: dict[str, list[str]] = {"lost": [], "stuck": [], "filed as failed": [], "never completed, not searched": []}
    for key in sorted(never):
        states = {place["state"] for place in found.get(key, ())} - {"data"}
        if key not in found:
            fate = "never completed, not searched"
        elif "failed" in states:
            fate = "filed as failed"
        else:
            fate = "stuck" if states else "lost"
        fates[fate].append(key)
    return fates


def _doubts(history: Sequence[Event], asked: Mapping[str, Any], tried: int, struck: int) -> list[str]:
    """Why a history without a flaw proves nothing."""
    doubts = []
    if tried < asked["jobs"]:
        doubts.append(f"only {tried} of {asked['jobs']} jobs were enqueued")
    if struck < asked["strikes"]:
        doubts.append(f"only {struck} of {asked['strikes']} strikes hit")
    if not any(event.kind == "end" and event.key == asked["sentinel"] for event in history):
        doubts.append("no worker ran the sentinel job")
    return doubts
