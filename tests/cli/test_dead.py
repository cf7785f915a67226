"""`taskbridge dead`, on a real queue with a real worker."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from click.testing import CliRunner

import taskbridge
from taskbridge.cli import main
from taskbridge.errors import EnqueueError, RedriveRefused
from taskbridge.message import Headers, Message
from taskbridge.redrive import redrive
from taskbridge.router import router
from taskbridge.store import DeadLetter, Selection, TaskError
from tests.cli import part
from tests.store.processes import WRITERS, together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskbridge.store import Store

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC)
SECRET = "card 4111"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"huey+sqlite:///{tmp_path}/queue.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    taskbridge.configure(url)
    opened = router.store()
    assert opened is not None
    yield opened
    router.configure(None)


def run(url: str, *argv: str, code: int = 0) -> str:
    """What the command prints, to either stream."""
    taskbridge.configure(url)
    ran = CliRunner().invoke(main, argv)
    assert ran.exit_code == code, (ran.output, ran.exception)
    return ran.output


def bury(store: Store, letter_id: str, **changes: Any) -> DeadLetter:
    letter = DeadLetter(
        id=letter_id,
        task="cli.charge",
        queue_name="default",
        backend="default",
        reason="exhausted",
        buried_at=NOW - timedelta(hours=1),
        error=TaskError(
            attempt=3,
            at=NOW,
            exception_class_path="builtins.OSError",
            message="\x1b[2Jgone\x07",
            traceback="Traceback\n  in \x1b[2Jfile",
        ),
        attempts=3,
        message=Message(letter_id, "cli.charge", ["nowhere", SECRET], {}, headers=Headers(metadata={"tenant": 7})),
        expires_at=NOW + timedelta(days=30),
    )
    letter = msgspec.structs.replace(letter, **changes)
    store.bury(letter)
    return letter


def waiting(url: str) -> int:
    """The jobs that lie on the queue."""
    with closing(sqlite3.connect(url.removeprefix("huey+sqlite:///"))) as connection, connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'task'").fetchone() is None:
            return 0
        return int(connection.execute("SELECT count(*) FROM task").fetchone()[0])


@pytest.mark.timeout(120)
def test_a_job_that_died_is_listed_shown_mended_and_redriven(url: str, store: Store, tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    worker = subprocess.Popen(
        [sys.executable, "-m", "taskbridge", "worker", "-A", "tests.cli.part"],
        cwd=ROOT,
        env={**os.environ, "TASKBRIDGE_URL": url},
    )
    try:
        handle = part.charge.enqueue(str(mended), SECRET)
        letter = _wait_for(store, handle.id, "dead")
        assert letter.reason == "exhausted"
        listed = run(url, "dead", "list")
        assert handle.id in listed
        assert "FileNotFoundError" in listed
        shown = run(url, "dead", "show", handle.id)
        assert "exhausted" in shown
        assert not any(secret in listed + shown for secret in (SECRET, "\x1b", "\x07"))
        assert SECRET in run(url, "dead", "show", "--arguments", handle.id)
        mended.touch()
        assert "redriven" in run(url, "dead", "redrive", handle.id)
        for _ in range(500):
            if mended.read_text():
                break
            assert worker.poll() is None
            time.sleep(0.02)
        assert mended.read_text() == f"{len(SECRET)}\n"
        assert "has been redriven" in run(url, "dead", "redrive", handle.id, code=1)
        assert "No dead letter" in run(url, "dead", "list", code=1)
        assert handle.id in run(url, "dead", "list", "--redriven")
    finally:
        worker.terminate()
        worker.wait(timeout=30)


def test_letters_are_chosen_by_task_time_and_reason(url: str, store: Store) -> None:
    bury(store, "old", buried_at=NOW - timedelta(days=8))
    bury(store, "young", reason="crashed out")
    bury(store, "other", task="cli.other", queue_name="slow")

    def ids(*argv: str) -> set[str]:
        return {json.loads(line)["id"] for line in run(url, "dead", "list", "--json", *argv).splitlines()}

    assert ids() == {"old", "young", "other"}
    assert ids("--before", "7d") == ids("--before", f"{NOW - timedelta(days=7):%Y-%m-%dT%H:%M:%S+00:00}") == {"old"}
    assert ids("--since", "7d", "--task", "cli.charge") == ids("--reason", "crashed out") == {"young"}
    assert ids("--queue", "slow") == {"other"}
    assert len(run(url, "dead", "list", "--limit", "1").splitlines()) == 2
    run(url, "dead", "list", "--task", "nobody", code=1)
    run(url, "dead", "list", "--since", "yesterday", code=2)
    run(url, "dead", "list", "--reason", "bad luck", code=2)
    run(url, "dead", "redrive", code=2)
    run(url, "dead", "discard", code=2)
    run(url, "dead", "discard", "old", "--every", code=2)
    assert "discarded" in run(url, "dead", "discard", "--before", "7d")
    run(url, "dead", "discard", "old", code=1)
    run(url, "dead", "show", "old", code=1)
    assert ids() == {"young", "other"}
    assert len(run(url, "dead", "redrive", "--every").splitlines()) == 2
    assert waiting(url) == 2


def test_json_holds_everything_but_the_arguments_unless_they_are_asked_for(url: str, store: Store) -> None:
    bury(store, "a")
    shown = json.loads(run(url, "dead", "show", "--json", "a"))
    assert (shown["schema"], shown["id"], shown["state"], shown["attempts"]) == (1, "a", "dead", 3)
    assert shown["metadata"] == {"tenant": 7}
    assert shown["history"][0]["what"] == "buried"
    assert SECRET not in json.dumps(shown)
    shown = json.loads(run(url, "dead", "show", "--json", "--arguments", "a"))
    assert shown["args"] == ["nowhere", SECRET]


def test_bytes_are_shown_safely_and_written_as_they_are(url: str, store: Store) -> None:
    payload = b"\x80\x1b[2J\x07 no JSON"
    bury(store, "raw-1", task="", message=None, payload=payload, reason="undecodable")
    assert "no JSON" not in run(url, "dead", "show", "raw-1")
    shown = run(url, "dead", "show", "raw-1", "--arguments")
    assert r"\x80\x1b[2J\x07 no JSON" in shown
    assert "\x1b" not in shown
    ran = CliRunner().invoke(main, ["dead", "show", "raw-1", "--payload"])
    assert ran.stdout_bytes == payload


def test_bytes_go_back_to_a_backend_that_takes_them(store: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bury(store, "raw-1", task="", message=None, payload=b"raw", reason="undecodable")
    with monkeypatch.context() as without:
        without.setattr("taskbridge.redrive.TakesRaw", str)
        with pytest.raises(RedriveRefused, match="huey does not take them back"):
            redrive("raw-1", store)
    redrive("raw-1", store)
    with closing(sqlite3.connect(url.removeprefix("huey+sqlite:///"))) as connection, connection:
        assert connection.execute("SELECT data FROM task").fetchall() == [(b"raw",)]
    with pytest.raises(RedriveRefused, match="has been redriven"):
        redrive("raw-1", store)


def test_bytes_that_die_again_before_their_redrive_is_noted_are_dead(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw: dict[str, Any] = {"task": "", "message": None, "payload": b"raw", "reason": "undecodable"}
    bury(store, "raw-1", **raw)

    def put_back(_self: object, _queue_name: str, _payload: bytes) -> None:
        """A worker takes it at once, and cannot read it either."""
        bury(store, "raw-1", **raw, buried_at=NOW)

    monkeypatch.setattr(type(router.backend()), "put_back", put_back)
    redrive("raw-1", store)
    (letter,) = store.letters(Selection())
    assert (letter.redrives, len(letter.history)) == (1, 3)


def test_a_letter_stays_dead_when_the_broker_does_not_take_the_job(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(store, "a")

    def refuse(_self: object, _messages: object) -> None:
        raise EnqueueError("no", maybe_accepted=False)

    with monkeypatch.context() as broken:
        broken.setattr(type(router.backend()), "enqueue", refuse)
        with pytest.raises(EnqueueError):
            redrive("a", store)
    (letter,) = store.letters(Selection(ids=("a",)))
    assert not letter.is_redriven
    redrive("a", store)


def test_a_redriven_job_says_how_often_and_when(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bury(store, "a", life=2, redrives=2)
    sent: list[Message] = []
    monkeypatch.setattr(type(router.backend()), "enqueue", lambda _self, messages: sent.extend(messages))
    redrive("a", store)
    (message,) = sent
    assert message.headers is not None
    assert (message.id, message.args, message.headers.metadata) == ("a", ["nowhere", SECRET], {"tenant": 7})
    assert (message.headers.redrives, message.headers.attempt) == (3, 1)
    assert message.headers.redriven_at is not None
    assert message.headers.redriven_at >= NOW


def test_a_job_whose_expiry_has_passed_is_not_redriven_in_vain(url: str, store: Store) -> None:
    expired = Message("a", "cli.charge", [], {}, headers=Headers(expires=NOW - timedelta(seconds=1)))
    bury(store, "a", message=expired)
    assert "--without-expiry" in run(url, "dead", "redrive", "a", code=1)
    assert waiting(url) == 0
    run(url, "dead", "redrive", "--without-expiry", "a")
    assert waiting(url) == 1


def test_a_forged_job_is_not_signed_by_redriving_it(store: Store, url: str) -> None:
    bury(store, "a", reason="not signed")
    taskbridge.configure(backends={"default": url}, signing_keys=[f"k1:{'s' * 40}"])
    with pytest.raises(RedriveRefused, match="not signed"):
        redrive("a", store)


@pytest.mark.timeout(120)
def test_of_many_that_redrive_one_letter_one_does(store: Store, url: str, tmp_path: Path) -> None:
    bury(store, "a")
    with together(part.redrive_the_same, f"{url} a {tmp_path}"):
        pass
    assert len(list(tmp_path.glob("*.redrove"))) == 1 < WRITERS
    assert waiting(url) == 1


def test_a_killed_redrive_leaves_a_letter_that_can_be_redriven(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(store, "a")
    code = f"from tests.cli.part import redrive_and_stall as stall; stall({url!r}, 'a')"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as operator:
        assert operator.stdout is not None
        assert operator.stdout.readline() == "stalled\n"
        operator.kill()
    with pytest.raises(RedriveRefused, match="somebody else"):
        redrive("a", store)
    # What the next minute would do: the lease of the dead process runs out.
    with closing(sqlite3.connect(url.removeprefix("huey+sqlite:///"))) as connection, connection:
        connection.execute("UPDATE taskbridge_leases SET until = 0")
    redrive("a", store)
    assert waiting(url) == 1


def test_a_backend_without_a_store_says_so() -> None:
    assert "store" in run("celery+amqp://127.0.0.1:1/", "dead", "list", code=2)


def test_a_store_that_does_not_answer_is_unreachable() -> None:
    run("rq+redis://127.0.0.1:1/0", "dead", "list", code=3)


def _wait_for(store: Store, job_id: str, state: Any) -> DeadLetter:
    for _ in range(1_500):
        found = list(store.letters(Selection(ids=(job_id,), state=state)))
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"no letter of {job_id}")
