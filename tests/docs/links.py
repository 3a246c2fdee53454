"""Finds broken links of a page. Only links within the repository are checked; nothing is requested over the network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_FENCED = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_ELSEWHERE = ("http://", "https://", "mailto:")


def broken_links(page: Path, root: Path) -> Iterator[str]:
    """Each broken link of the page, with the reason."""
    for target in _LINK.findall(_CODE.sub("", _prose(page))):
        if target.startswith(_ELSEWHERE):
            continue
        path, _, fragment = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.is_relative_to(root):
            yield f"{target}: leads out of the repository"
        elif not found.exists():
            yield f"{target}: no such file or folder"
        elif fragment and (not found.is_file() or fragment not in anchors(found)):
            yield f"{target}: {found.name} has no heading with this name"


def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings, in GitHub's spelling."""
    return {anchor(heading) for heading in _HEADING.findall(_prose(page))}


def anchor(heading: str) -> str:
    """GitHub's anchor of a heading: `## Who did it?` becomes `who-did-it`."""
    letters = re.sub(r"[^\w\- ]", "", heading.lower())
    return letters.strip().replace(" ", "-")


def _prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text(encoding="utf-8"))
