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


def test_dead_letters_are_kept_where_there_is_a_store(stage: Stage) -> None:
    assert stage.expected["dead_letters"].level == ("refused" if router.store() is None else "emulated")


def test_a_backend_without_a_store_refuses_results(stage: Stage) -> None:
    if not isinstance(stage.backend, HasStore) and "store=" not in stage.url:
        assert stage.backend.capabilities.result.is_refused
