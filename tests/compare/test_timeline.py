from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from taskbridge_compare.timeline import attempts, draw
from tests.compare.histories import CRASH, VICTIM, event, killed, sentinel


def _cell(**verdict: str) -> dict[str, Any]:
    shown = {"text": "rerun after 1.5 s", "detail": "<once>", **verdict}
    return {"backend": "rq+redis", "profile": "native", "asked": CRASH, "verdict": shown}


def test_attempts_are_cut_by_the_fault_or_end_by_themselves() -> None:
    history = killed(event("start", 3.5, pid=2), event("end", 5.0, pid=2))
    first, second = attempts(history, VICTIM, 20.0)
    assert (first.begin, first.finish, first.how) == (-1.0, 0.0, "cut")
    assert (second.begin, second.finish, second.how, second.pid) == (1.5, 3.0, "end", 2)


def test_the_picture_is_well_formed_and_shows_each_attempt_against_the_kill() -> None:
    history = killed(event("start", 3.5, pid=2), event("end", 5.0, pid=2), sentinel(5.1))
    history[2].extra["fault"] = "SIGKILL & more"  # type: ignore[index]  # a plain dict in this history
    text = draw(_cell(), [one.plain() for one in history])
    root = ElementTree.fromstring(text)
    classes = [element.get("class") for element in root]
    assert [name for name in classes if name in ("cut", "end", "raise")] == ["cut", "end"]
    assert classes.count("sentinel") == 1
    assert classes.count("fault") == 2, "a line and its words"
    assert "once" in str(root.get("aria-label")), "what is drawn is said in words too"


def test_where_no_fault_struck_there_is_no_picture() -> None:
    assert draw(_cell(), [event("start", 1.0).plain(), event("end", 2.0).plain()]) == ""
