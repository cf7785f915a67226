"""An experiment: a question with one precise outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskbridge_compare.checkers import Verdict
    from taskbridge_compare.faults.proxy import CuttingProxy
    from taskbridge_compare.ledger import Event
    from taskbridge_compare.station import Station

Asked = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where an experiment happens: a station, the seconds to watch, and the proxy before the worker, if any."""

    station: Station
    window: float
    proxy: CuttingProxy | None = None
    queues: Callable[[str], Sequence[str]]
    """The queues of a RabbitMQ URL, to search them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A question, how it is put to a station, and the checker that reads the answer off the history.

    `run` returns what was asked (keys, limits, seconds) as plain JSON values; with the events of those keys that is all
    that `judge` needs, so that a verdict can be made again from a published result.
    """

    name: str
    title: str
    question: str
    run: Callable[[Scene], Asked]
    judge: Callable[[Sequence[Event], Mapping[str, Any]], Verdict]
