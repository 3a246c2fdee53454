"""Runs every command of README.md and docs/, and checks that it does what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import blocks, cluster
from docs.page import Page, read_page
from docs.session import Session
from docs.working_copy import WorkingCopy
from support import environments

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    read_page(path, ROOT)
    for path in sorted(
        [
            *ROOT.glob("*.md"),
            *ROOT.glob("docs/**/*.md"),
            *ROOT.glob("services/models/*/README.md"),
            *ROOT.glob("charts/*/README.md"),
            *ROOT.glob("k8s/*/README.md"),
        ]
    )
]
TO_RUN = [page for page in PAGES if any(not block.options.keys() & {"skip", "cluster"} for block in page.console())]
ON_A_CLUSTER = [page for page in PAGES if any("cluster" in block.options for block in page.console())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_the_page_is_valid(page: Page) -> None:
    for block in page.blocks:
        blocks.check(block)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", TO_RUN, ids=lambda page: page.name)
def test_the_commands_of_the_page_do_what_it_says(page: Page, tmp_path: Path) -> None:
    for block in page.console():
        if "skip" in block.options:
            print(f"{block.place}: not run: {block.options['skip']}")
        if "cluster" in block.options:
            print(f"{block.place}: not run here: it needs a cluster")
    packages = [environments.packages(page.environment)] if page.environment else []
    with Session(WorkingCopy(ROOT, tmp_path / "fairlead", packages), tmp_path / "notes") as session:
        session.run_page(page)


@pytest.mark.parametrize("page", ON_A_CLUSTER, ids=lambda page: page.name)
def test_the_cluster_commands_of_the_page_fit_the_charts_and_the_command_line(page: Page, tmp_path: Path) -> None:
    cluster.write_files(page, tmp_path)
    for block in page.console():
        if "cluster" in block.options:
            for command in block.commands():
                cluster.check(command, block.place, tmp_path)
