"""The suite goes red for each field of the record that it is told wrongly: it can, in a process that is the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.django.conftest import Project

FLIPPED = """
import json, pathlib, tempfile
from taskbridge.errors import UnsupportedFeature
from taskbridge.testing.suite import test_record
from taskbridge.testing.suite.stage import ASKED, Stage
import pytest
folder = pathlib.Path(tempfile.mkdtemp(dir="."))
green = []
right = Stage({url!r}, folder, None)
for option in ASKED:
    test_record.test_an_option_is_bound_as_the_record_says(right, option)
expected = right.expected
right.stop()
for option in ASKED:
    for level in {{"native", "emulated", "refused"}} - {{expected[option].level}}:
        stage = Stage({url!r}, folder, f"{{option}}={{level}}")
        try:
            test_record.test_an_option_is_bound_as_the_record_says(stage, option)
        except (AssertionError, UnsupportedFeature, pytest.fail.Exception):
            pass
        else:
            green.append((option, level))
        finally:
            stage.stop()
print(json.dumps([len(ASKED), green]))
"""


@pytest.mark.parametrize("url", ["django+db://default", "django+db://default?workers=native"])
def test_a_wrong_field_turns_the_suite_red(on_sqlite: Project, url: str) -> None:
    settings = {"DJANGO_SETTINGS_MODULE": "tests.conformance.django_settings"}
    options, green = on_sqlite.python(FLIPPED.format(url=url), **settings)
    assert options >= 9
    assert green == []
