"""What the documentation shows works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import BlockFailed, blocks, run_page

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("*.md", "docs/**/*.md", "backends/**/*.md", "comparisons/*.md", "examples/**/*.md", "taskbridge/**/*.md")
PAGES = sorted({str(page.relative_to(ROOT)) for name in NAMES for page in ROOT.glob(name)})


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_runs(page: str, tmp_path: Path) -> None:
    run_page(ROOT / page, tmp_path)


def test_the_pages_include_the_readme() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/decisions.md"} <= set(PAGES)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nassert False\n```\n",
        "```sh\nfalse\n```\n",
        "```sh\nfalse | true\n```\n",
        "<!-- not run: -->\n```sh\nfalse\n```\n",
        "<!-- not run: too far above -->\ntext\n```sh\nfalse\n```\n",
        "<!-- not run: Python always runs -->\n```python\nassert False\n```\n",
        "```python\n# shop.py\nassert False\n```\n",
        "```python\nprint(1)\n```\n\n<!-- output -->\n```text\n2\n```\n",
    ],
)
def test_a_block_that_fails_is_seen(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{text}")
    with pytest.raises(BlockFailed, match=r"page\.md, line \d+: the \w+ block ends with 1"):
        run_page(page, tmp_path)


def test_the_output_of_a_block_may_be_broken_into_other_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint('one two')\n```\n\n<!-- output -->\n```text\none\ntwo\n```\n")
    assert run_page(page, tmp_path) == 1


def test_a_block_may_use_the_files_that_earlier_ones_wrote(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\n# shop.py\nprice = 7\n```\n\n"
        "```toml\n# more.toml\nprice = 8\n```\n\n"
        "```python\nimport shop\n\nassert '8' in open('more.toml').read()\nassert shop.price == 7\n```\n\n"
        "<!-- not run: it would install servers -->\n```sh\nfalse\n```\n"
    )
    assert run_page(page, tmp_path) == 2
    assert [block.line for block in blocks(page.read_text())] == [1, 6, 11, 19]
