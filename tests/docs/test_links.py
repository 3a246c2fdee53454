"""Every link of every page leads somewhere, and README.md leads to every page."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from docs.links import anchor, dangling

ROOT = Path(__file__).resolve().parents[2]


def _pages() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_the_page_leads_somewhere(page: Path) -> None:
    assert list(dangling(page, ROOT)) == []


def test_the_readme_leads_to_every_page_of_the_documentation() -> None:
    readme = (ROOT / "README.md").read_text()
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if f"](docs/{page.name})" not in readme]
    assert missing == []


def test_the_list_of_decisions_has_every_decision_and_none_is_longer_than_eighty_lines() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text()
    pages = [page for page in folder.glob("*.md") if page.name != "README.md"]
    assert [page.name for page in pages if f"({page.name})" not in listed] == []
    assert [page.name for page in pages if len(page.read_text().splitlines()) > 80] == []


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        ("there.md", None),
        ("there.md#a-heading-with-code", None),
        ("#here", None),
        ("https://example.org/nowhere", None),
        ("absent.md", "no such file"),
        ("there.md#absent", "no heading"),
        ("../../outside.md", "leads out"),
    ],
)
def test_a_link_is_judged_by_where_it_leads(tmp_path: Path, link: str, complaint: str | None) -> None:
    (tmp_path / "there.md").write_text("# A heading, with `code`!\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n[text]({link}) `[code](never.md)`\n```text\n[block](never.md)\n# absent\n```\n")
    found = list(dangling(page, tmp_path))
    assert (complaint is None) == (found == [])
    assert complaint is None or complaint in found[0]


def test_a_heading_is_spelled_as_the_page_shows_it() -> None:
    assert anchor("What blocks, and how to see it") == "what-blocks-and-how-to-see-it"
