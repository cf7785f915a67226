"""What was finished is not run again, and every number of the table comes from the files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from taskbridge_compare.drivers.lease_queue import LeaseQueue
from taskbridge_compare.gauntlet import record, table
from taskbridge_compare.gauntlet.command import main
from taskbridge_compare.gauntlet.judge import Judgement, judge
from taskbridge_compare.gauntlet.plan import Cell
from taskbridge_compare.gauntlet.run import Gauntlet
from taskbridge_compare.gauntlet.size import Size
from taskbridge_compare.gauntlet.worker_faults import SIGKILL
from tests.gauntlet.histories import asked, began, enqueued, history, killed, ran, served

PUBLISHED = sorted(Path(__file__).parents[2].glob("comparisons/results/gauntlet/*.json.gz"))
FIRST = [path for path in PUBLISHED if path.name.endswith(".1.json.gz")]
REPEATED = [path for path in PUBLISHED if path not in FIRST]
"""Large ones: it takes 20 s to judge a hundred."""
GOOD = history(enqueued(1), began(1, 1.0), killed(2.0, 10), ran(1, 9.0, 9.1, pid=20), served())


def header(backend: str, repeat: int = 1) -> dict[str, object]:
    return {"backend": backend, "profile": "taskbridge", "fault": "sigkill", "repeat": repeat, "asked": asked(1)}


def test_a_written_drain_is_read_and_judged_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "one.json.gz"
    written = record.write(path, header("a+b"), GOOD)
    assert written == judge(GOOD, asked(1)) == record.judge_again(path)
    assert Judgement.restore(record.read_header(path)["judgement"]) == written
    first = path.read_bytes()
    record.write(path, header("a+b"), GOOD)
    assert path.read_bytes() == first, "the same drain is the same bytes"
    record.restate(path)
    assert path.read_bytes() == first, "and the same judge says the same"


def test_the_table_adds_up_the_repeats_of_a_row(tmp_path: Path) -> None:
    for repeat in (1, 2):
        record.write(tmp_path / f"{repeat}.json.gz", header("a+b", repeat), GOOD)
    lost = [one for one in GOOD if not (one.key == "job-1" and one.at > 2)]
    record.write(tmp_path / "3.json.gz", header("c+d"), lost)
    rows = table.lines(map(record.read_header, sorted(tmp_path.glob("*.json.gz"))))
    named = [dict(zip(table.COLUMNS, row, strict=True)) for row in rows]
    assert [(row["backend"], row["drains"], row["strikes"], row["verdict"]) for row in named] == [
        ("a+b", "2", "2", "2 green"),
        ("c+d", "1", "1", "1 red"),
    ]
    assert (named[0]["ran again"], named[0]["recovery p50 / p95 / max"]) == ("2 cut", "7.0 / 7.0 / 7.0 s")
    assert named[1]["stuck"] == "1", "what was not searched for is not called lost"


def test_a_finished_drain_is_not_run_again_unless_its_size_changes(tmp_path: Path) -> None:
    size = Size(jobs=10, strikes=0, patience=5, settle=0.1)
    cell = Cell(driver=LeaseQueue(bug="none"), fault=SIGKILL, repeat=1, size=size)
    told: list[str] = []

    def run(wanted: Cell) -> Judgement:
        gauntlet = Gauntlet(cells=[wanted], folder=tmp_path, beside=1, tell=told.append)
        gauntlet.execute()
        return gauntlet.judged[wanted.name]

    first = run(cell)
    assert first.colour == "green", first.text
    written = cell.path(tmp_path).read_bytes()
    assert run(cell) == first
    assert cell.path(tmp_path).read_bytes() == written
    assert told[-1].startswith("0 drains to do")
    run(replace(cell, size=replace(size, jobs=11)))
    assert cell.path(tmp_path).read_bytes() != written


def test_an_unknown_fault_or_backend_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--faults", "meteor"]) == 2
    assert "there are sigkill" in capsys.readouterr().err
    assert main(["--backends", "hueyy"]) == 2


@pytest.mark.parametrize("path", FIRST, ids=lambda path: path.name)
def test_a_published_judgement_can_be_made_again(path: Path) -> None:
    assert record.judge_again(path).plain() == record.read_header(path)["judgement"]


@pytest.mark.wide
@pytest.mark.parametrize("path", REPEATED, ids=lambda path: path.name)
def test_the_judgements_of_repeats_can_be_made_again(path: Path) -> None:
    assert record.judge_again(path).plain() == record.read_header(path)["judgement"]


def test_the_published_page_comes_from_the_files_beside_it() -> None:
    for page in {path.parent / "README.md" for path in PUBLISHED}:
        assert page.read_text() == table.page(record.read_header(path) for path in PUBLISHED)
