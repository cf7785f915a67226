"""The alias that a URL names, and how it is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.django.conftest import Project

OPEN = """
import json, os, taskbridge
from taskbridge.errors import ConfigurationError
from taskbridge.router import router
taskbridge.configure(os.environ["SHOP_URL"], queues=json.loads(os.environ.get("QUEUES", '["default"]')))
try:
    print(json.dumps(router.backend().alias))
except ConfigurationError as error:
    print(json.dumps(f"refused: {error}"))
"""


@pytest.mark.parametrize(
    ("url", "environment", "words"),
    [
        ("django+db://defalt", {}, ["no such alias", "'default'"]),
        ("django+db://", {}, ["django+db://ALIAS"]),
        ("django+db://default/more", {}, ["django+db://ALIAS"]),
        ("django+db://immediate", {}, ["django_tasks_db.DatabaseBackend", "ImmediateBackend"]),
        ("django+db://loop", {"TEST_LOOP": "yes"}, ["TaskBridge itself", "circle"]),
        ("django+db://default", {"QUEUES": '["default", "mial"]'}, ["'mial'", "'mail'", "QUEUES"]),
        ("django+db://bulk", {"QUEUES": json.dumps(["q" * 33])}, ["32 characters"]),
        ("django+db://default", {"DJANGO_SETTINGS_MODULE": ""}, ["DJANGO_SETTINGS_MODULE", "export"]),
        ("django+db://default", {"DJANGO_SETTINGS_MODULE": "no.such"}, ["no.such", "project's folder"]),
        ("django+db://default", {"DJANGO_SETTINGS_MODULE": "tests.django_project.without"}, ["INSTALLED_APPS"]),
    ],
)
def test_a_url_that_cannot_work_is_refused_in_words(
    on_sqlite: Project, url: str, environment: dict[str, str], words: list[str]
) -> None:
    said = on_sqlite.python(OPEN, SHOP_URL=url, **environment)
    assert said.startswith("refused: ")
    for word in words:
        assert word in said


def test_an_alias_is_found_without_regard_to_case(on_sqlite: Project) -> None:
    assert on_sqlite.python(OPEN, SHOP_URL="django+db://Bulk", QUEUES='["any queue"]') == "Bulk"
