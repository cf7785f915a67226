"""What every store does with dead letters, whatever it stands on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from taskbridge.message import Headers, Message
from taskbridge.store import Burial, DeadLetter, Redrive, Selection, Store, TaskError, open_store
from tests.store import writers
from tests.store.processes import WRITERS, together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.services import Server

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC).replace(microsecond=123_457)


@pytest.fixture(params=("sqlite", "postgresql", "redis", "memory"))
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store in which nothing has ever been: dead letters are listed."""
    if request.param == "memory":
        return "memory://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/letters.db"
    server: Server = request.getfixturevalue("postgres_server" if request.param == "postgresql" else "redis_server")
    return server.fresh_url()


@pytest.fixture
def store(fresh_url: str) -> Iterator[Store]:
    opened = open_store(fresh_url)
    yield opened
    opened.close()


def letter(letter_id: str = "", **changes: object) -> DeadLetter:
    letter_id = letter_id or uuid.uuid4().hex
    fresh = DeadLetter(
        id=letter_id,
        task="shop.receipt",
        queue_name="default",
        backend="default",
        reason="exhausted",
        buried_at=NOW,
        error=TaskError(
            attempt=3, at=NOW, exception_class_path="builtins.OSError", message="nul \x00 %s ? é", traceback="t" * 9
        ),
        attempts=3,
        crashes=1,
        message=Message(
            letter_id,
            "shop.receipt",
            [42, {"a": [None, 2**70, "\x00 😀"]}],
            {"b": 0.1},
            headers=Headers(metadata={"k": 1}),
        ),
        expires_at=NOW + timedelta(days=30),
    )
    return msgspec.structs.replace(fresh, **changes)


def found(store: Store, **selection: object) -> list[DeadLetter]:
    return list(store.letters(Selection(**selection)))  # type: ignore[arg-type]  # whatever the test says


def test_a_letter_is_read_back_as_it_was_buried(store: Store) -> None:
    buried = letter()
    store.bury(buried)
    (read,) = found(store)
    assert msgspec.structs.replace(read, history=()) == buried
    assert read.history == (
        Burial(at=NOW, reason="exhausted", attempts=3, crashes=1, error="builtins.OSError: nul \x00 %s ? é"),
    )
    assert not read.is_redriven


def test_bytes_that_are_no_job_are_kept_as_they_are(store: Store) -> None:
    payload = bytes(range(256)) * 3
    store.bury(letter("raw-1", message=None, payload=payload, task="", reason="undecodable"))
    (read,) = found(store)
    assert (read.message, read.payload, read.task) == (None, payload, "")


@pytest.mark.parametrize("task", ["nul \x00", "lone \ud800", "späť %s ? '", "x" * 10_000, ""], ids=ascii)
def test_no_name_is_too_strange_to_be_kept(store: Store, task: str) -> None:
    store.bury(letter(task=task, queue_name=task))
    (read,) = found(store)
    assert read.task == task.replace("\x00", "\\x00").replace("\ud800", "\\ud800")


def test_letters_are_found_by_everything_that_is_said_of_them(store: Store) -> None:
    minutes = [NOW - timedelta(minutes=n) for n in (3, 2, 1)]
    store.bury(letter("c", buried_at=minutes[2], task="other", backend="bulk"))
    store.bury(letter("a", buried_at=minutes[0]))
    store.bury(letter("b", buried_at=minutes[1], reason="crashed out", queue_name="slow"))

    def ids(**selection: object) -> str:
        return "".join(each.id for each in found(store, **selection))

    assert ids() == "abc"
    assert ids(ids=("c", "a", "nobody")) == "ac"
    assert ids(task="other") == ids(backend="bulk") == "c"
    assert ids(reason="crashed out") == ids(queue_name="slow") == "b"
    assert ids(since=minutes[1]) == "bc"
    assert ids(before=minutes[1]) == "a"
    assert ids(since=minutes[0], before=minutes[2], task="shop.receipt") == "ab"
    assert ids(ids=("a",), reason="crashed out") == ""
    store.redriven("a", number=1, at=NOW)
    assert (ids(), ids(state="redriven"), ids(state=None)) == ("bc", "a", "abc")


def test_many_letters_are_read_page_by_page(store: Store) -> None:
    names = [f"{number:04}" for number in range(234)]
    for name in reversed(names):
        store.bury(letter(name, buried_at=NOW + timedelta(microseconds=int(name) // 10)))
    assert [each.id for each in store.letters(Selection())] == names
    # Who discards while reading misses none.
    for each in store.letters(Selection()):
        store.discard([each.id])
    assert found(store) == []


def test_a_letter_that_was_redriven_is_dead_again_when_the_job_dies_again(store: Store) -> None:
    store.bury(letter("a"))
    store.redriven("a", number=1, at=NOW + timedelta(seconds=1))
    assert found(store) == []
    (redriven,) = found(store, state="redriven")
    assert (redriven.is_redriven, redriven.redrives) == (True, 1)
    # A copy of the first life comes late: it is not dead again.
    store.bury(letter("a", buried_at=NOW + timedelta(seconds=2)))
    assert found(store) == []
    store.bury(letter("a", buried_at=NOW + timedelta(seconds=3), life=1, attempts=7))
    (again,) = found(store)
    assert (again.is_redriven, again.redrives, again.life, again.attempts) == (False, 1, 1, 7)
    assert [type(each) for each in again.history] == [Burial, Redrive, Burial, Burial]
    assert [each.at - NOW for each in again.history] == [timedelta(seconds=n) for n in (0, 1, 2, 3)]
    store.bury(letter("a", life=0))
    assert found(store) == [again]


def test_a_job_that_dies_before_its_redrive_is_noted_is_dead(store: Store) -> None:
    store.bury(letter("a"))
    store.bury(letter("a", life=1))
    store.redriven("a", number=1, at=NOW)
    (read,) = found(store)
    assert (read.life, read.redrives) == (1, 1)


def test_the_same_bytes_that_come_again_after_a_redrive_are_dead_again(store: Store) -> None:
    for _ in range(2):
        store.bury(letter("raw-1", message=None, payload=b"x"))
    assert len(found(store)) == 1
    store.redriven("raw-1", number=1, at=NOW)
    assert found(store) == []
    store.bury(letter("raw-1", message=None, payload=b"x"))
    (read,) = found(store)
    assert (read.life, read.redrives) == (1, 1)


def test_noting_a_redrive_twice_is_noting_it_once(store: Store) -> None:
    store.bury(letter("a"))
    for _ in range(2):
        store.redriven("a", number=1, at=NOW)
    (read,) = found(store, state="redriven")
    assert (read.redrives, len(read.history)) == (1, 2)
    store.redriven("nobody", number=1, at=NOW)
    assert len(found(store, state=None)) == 1


def test_discarded_letters_are_gone_and_others_stay(store: Store) -> None:
    for name in "abc":
        store.bury(letter(name))
    assert store.discard(["a", "c", "nobody"]) == 2
    assert [each.id for each in found(store)] == ["b"]
    assert store.discard([]) == 0


def test_a_letter_is_gone_when_its_time_has_passed(store: Store) -> None:
    store.bury(letter("old", expires_at=NOW - timedelta(seconds=1)))
    store.bury(letter("new"))
    assert [each.id for each in found(store)] == ["new"]
    assert [each.id for each in found(store, ids=("old", "new"))] == ["new"]


def test_the_history_of_one_job_does_not_grow_for_ever(store: Store) -> None:
    error = msgspec.structs.replace(letter().error, message="m" * 1_000)
    for number in range(400):
        store.bury(letter("a", buried_at=NOW + timedelta(seconds=number), error=error))
    (read,) = found(store)
    assert read.buried_at == NOW + timedelta(seconds=399)
    assert 100 < len(read.history) < 300


def test_many_processes_bury_and_none_is_lost(durable_url: str) -> None:
    with together(writers.bury_many, durable_url):
        pass
    opened = open_store(durable_url)
    read = {each.id: each for each in opened.letters(Selection(task="many"))}
    assert set(read) == {"shared", *(f"own-{n}-{i}" for n in range(WRITERS) for i in range(writers.EACH))}
    burials = [event.error.partition(": ")[2] for event in read["shared"].history if isinstance(event, Burial)]
    assert sorted(burials) == sorted(f"{n}-{i}" for n in range(WRITERS) for i in range(writers.EACH))
    opened.close()


@pytest.mark.parametrize("acknowledged", [1, 17])
def test_a_killed_worker_leaves_every_letter_that_it_was_told_is_kept(durable_url: str, acknowledged: int) -> None:
    code = f"from tests.store.writers import bury_until_killed as bury; bury({durable_url!r}, 1)"
    lines: list[str] = []
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        try:
            for line in writer.stdout or ():
                lines.append(line.strip())
                if len(lines) == acknowledged:
                    os.kill(writer.pid, signal.SIGKILL)
        finally:
            writer.kill()
    opened = open_store(durable_url)
    read = {each.id for each in opened.letters(Selection(task=f"killed {writer.pid}"))}
    assert set(lines) <= read
    assert len(read) <= len(lines) + 1
    opened.close()
