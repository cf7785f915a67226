"""Hand-made drains for the judge."""

from __future__ import annotations

from typing import Any

from taskbridge_compare.ledger import Event

TOKEN = "job"
SENTINEL = "sentinel-1"


def event(kind: str, at: float, key: str = "", *, pid: int = 10, **extra: Any) -> Event:
    return Event(kind=kind, key=key, at=at, wall=at, pid=pid, extra=extra)


def asked(jobs: int, strikes: int = 1, *, forgets: float = 0.0) -> dict[str, Any]:
    return {"token": TOKEN, "jobs": jobs, "strikes": strikes, "sentinel": SENTINEL, "broker_forgets": forgets}


def enqueued(*numbers: int) -> list[Event]:
    return [event("enqueued", number / 1000, f"{TOKEN}-{number}", id=f"native-{number}") for number in numbers]


def ran(number: int, begin: float, end: float, *, pid: int = 10) -> list[Event]:
    key = f"{TOKEN}-{number}"
    return [event("start", begin, key, pid=pid, parent=1), event("end", end, key, pid=pid)]


def began(number: int, at: float, *, pid: int = 10) -> list[Event]:
    return [event("start", at, f"{TOKEN}-{number}", pid=pid, parent=1)]


def killed(at: float, *pids: int, number: int = 0) -> list[Event]:
    return [
        event("fault", at, fault="SIGKILL", number=number, pids=list(pids)),
        event("struck", at + 0.1, number=number),
    ]


def residual(number: int, *states: str) -> list[Event]:
    places = [{"name": f"somewhere {state}", "state": state} for state in states]
    return [event("residual", 90, f"{TOKEN}-{number}", places=places)]


def served(at: float = 80) -> list[Event]:
    """The sentinel ran."""
    return [event("enqueued", at - 1, SENTINEL, id="s"), event("start", at, SENTINEL), event("end", at, SENTINEL)]


def history(*parts: list[Event]) -> list[Event]:
    return sorted((one for part in parts for one in part), key=lambda one: one.at)
