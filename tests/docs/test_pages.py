"""Every command of README.md and docs/ is run, and does what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import blocks
from docs.page import Page, read_page
from docs.session import Session
from docs.workplace import Workplace

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    read_page(path, ROOT)
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("services/models/*/README.md")])
]
TO_RUN = [page for page in PAGES if any("skip" not in block.options for block in page.console())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_the_page_is_what_it_says(page: Page) -> None:
    for block in page.blocks:
        blocks.check(block)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", TO_RUN, ids=lambda page: page.name)
def test_the_commands_of_the_page_do_what_it_says(page: Page, tmp_path: Path) -> None:
    for block in page.console():
        if "skip" in block.options:
            print(f"{block.place}: not run: {block.options['skip']}")
    with Session(Workplace(ROOT, tmp_path / "fairlead"), tmp_path / "notes") as session:
        session.run_page(page)
