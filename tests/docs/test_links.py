"""No page has a broken link, and README.md links to every page."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from docs.links import anchor, broken_links

ROOT = Path(__file__).resolve().parents[2]


def _pages() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page_has_no_broken_link(page: Path) -> None:
    assert list(broken_links(page, ROOT)) == []


def test_the_readme_links_to_every_page_of_the_documentation() -> None:
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
def test_a_broken_link_is_reported_with_its_reason(tmp_path: Path, link: str, complaint: str | None) -> None:
    (tmp_path / "there.md").write_text("# A heading, with `code`!\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n[text]({link}) `[code](never.md)`\n```text\n[block](never.md)\n# absent\n```\n")
    found = list(broken_links(page, tmp_path))
    assert (complaint is None) == (found == [])
    assert complaint is None or complaint in found[0]


def test_an_anchor_is_the_heading_in_lower_case_with_hyphens() -> None:
    assert anchor("What blocks, and how to see it") == "what-blocks-and-how-to-see-it"
