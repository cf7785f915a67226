"""Pages lead where they say, and leave no option out."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from taskbridge.options import TaskOptions
from tests.docs.test_pages import PAGES, ROOT

LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Those that GitHub and MyST make of the headings."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(page.read_text()))
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for target, anchor in LINK.findall(page.read_text()):
        found = (page.parent / target) if target else page
        assert found.exists(), f"{name} links to {target}"
        assert not anchor or anchor in anchors(found), f"{name} links to {target}#{anchor}"


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    missing = [page for page in sorted(pages) if f"({page})" not in index]
    assert missing == [], "name them in docs/README.md"


def test_every_option_of_a_task_has_a_section() -> None:
    sections = set(HEADING.findall((ROOT / "docs" / "options.md").read_text()))
    assert [option.name for option in fields(TaskOptions) if f"`{option.name}`" not in sections] == []
