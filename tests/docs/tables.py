"""Reads the tables of a page."""

from __future__ import annotations

import re
from pathlib import Path


def table_below(page: Path, heading: str) -> list[list[str]]:
    """The rows of a section's last table, without its header. Raises AssertionError if there is none."""
    text = page.read_text(encoding="utf-8")
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page.name} has no section {heading!r}"
    tables = re.findall(r"(?:^\|.*\|\n)+", found[1], re.MULTILINE)
    assert tables, f"{page.name}: section {heading!r} has no table"
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in tables[-1].splitlines()[2:]]


def bare(cell: str) -> str:
    """A cell without its backquotes."""
    return cell.strip("`")
