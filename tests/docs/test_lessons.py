"""The page of lessons leaves none out, and says of each what became of it."""

from __future__ import annotations

import re

from tests.docs.test_pages import ROOT

ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| (.+) \|$", re.MULTILINE)
ANSWER = re.compile(r"\*\*(default|refused|check|log|option|measured|not here)\*\*|as \d+\b")

ROWS = ROW.findall((ROOT / "docs" / "lessons.md").read_text())


def test_every_lesson_is_there_once_and_in_order() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 96))


def test_every_lesson_is_answered() -> None:
    assert [number for number, _, answer in ROWS if not ANSWER.search(answer)] == []


def test_a_lesson_that_another_answers_for_names_one_that_has_an_answer_of_its_own() -> None:
    answers = {number: answer for number, _, answer in ROWS}
    for number, answer in answers.items():
        for other in re.findall(r"\bas (\d+)\b", answer):
            assert other != number
            assert not answers[other].startswith("as ")
