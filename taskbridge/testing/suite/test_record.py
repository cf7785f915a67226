"""The record says what the backend does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskbridge.backend import HasStore
from taskbridge.errors import UnsupportedFeature
from taskbridge.router import router
from taskbridge.testing.suite.stage import ASKED

if TYPE_CHECKING:
    from taskbridge.testing.suite.stage import Stage

FROM_THE_STORE = ("dead_letters", "terminate")


@pytest.mark.parametrize("option", sorted(ASKED))
def test_an_option_is_bound_as_the_record_says(stage: Stage, option: str) -> None:
    expected = stage.expected[option]
    if expected.level == "refused":
        stage.must_refuse(option)
    elif expected.level == "emulated":
        with pytest.raises(UnsupportedFeature, match="would be emulated"):
            stage.bind_strictly(option)
    else:
        stage.bind_strictly(option)


def test_every_field_says_how_or_why_not(stage: Stage) -> None:
    for option, support in stage.backend.capabilities:
        assert len(support.note.split()) > 2, option


def test_an_emulation_names_its_middleware(stage: Stage) -> None:
    for option, support in stage.backend.capabilities:
        assert (support.by is not None) == (support.level == "emulated"), option


@pytest.mark.parametrize("option", FROM_THE_STORE)
def test_what_a_store_alone_makes_possible_is_refused_without_one(stage: Stage, option: str) -> None:
    assert stage.expected[option].level == ("refused" if router.store() is None else "emulated")


def test_a_backend_without_a_store_refuses_results(stage: Stage) -> None:
    if not isinstance(stage.backend, HasStore) and "store=" not in stage.url:
        assert stage.backend.capabilities.result.is_refused
