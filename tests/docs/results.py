"""Writes the measured tables of docs/benchmarks.md from tests/benchmarks/results/*.json: python -m docs.results."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "tests" / "benchmarks" / "results"
NO_RESULTS = "There are no results yet: `make bench` runs the proofs and writes them."
_BETWEEN = re.compile(r"(<!-- results: begin[^>]*-->\n).*?(<!-- results: end -->\n)", re.DOTALL)


class ResultsError(ValueError):
    """A result file or the page does not have the expected form. The message names the file."""


def read_results(folder: Path) -> list[dict[str, Any]]:
    """All results, sorted by name; none if the folder is empty or missing. Raises ResultsError."""
    return [_read(file) for file in sorted(folder.glob("*.json"))]


def render(results: Iterable[Mapping[str, Any]]) -> str:
    """The Markdown of all results: for each proof its title, date and machine, and every claim with its measurement."""
    return "".join(_section(result) for result in results) or f"\n{NO_RESULTS}\n"


def with_tables(page: str, results: Iterable[Mapping[str, Any]]) -> str:
    """The page with new tables between its markers. Raises ResultsError if the page has no markers."""
    if not _BETWEEN.search(page):
        raise ResultsError("the page has no markers `<!-- results: begin -->` and `<!-- results: end -->`")
    tables = render(results)
    return _BETWEEN.sub(lambda found: f"{found[1]}{tables}\n{found[2]}", page)


def _read(file: Path) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        keys = result.keys()
        missing = {"name", "title", "command", "date", "machine", "versions", "holds", "claims"} - keys
    except (ValueError, AttributeError) as error:
        raise ResultsError(f"{file.name} is not the JSON object of a proof: {error}") from error
    if missing:
        raise ResultsError(f"{file.name} has no {', '.join(sorted(missing))}; write it with `make bench`")
    return result


def _section(result: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines = [
        "",
        f"### {result['name']}: {result['title']}",
        "",
        f"`{result['command']}`, {result['date']}, {result['machine']}; {versions}.",
        "",
        "| what | wanted | measured | |",
        "|---|---|---|---|",
        *(_row(claim) for claim in result["claims"]),
    ]
    if not result["holds"]:
        lines += ["", "**Not every claim holds in this run.**"]
    return "\n".join(lines) + "\n"


def _row(claim: Mapping[str, Any]) -> str:
    mark = "" if not claim["target"] else "holds" if claim["holds"] else "**does not hold**"
    cells = (str(cell).replace("|", r"\|") for cell in (claim["what"], claim["target"], claim["measured"], mark))
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Update the page."""
    try:
        text = with_tables(PAGE.read_text(encoding="utf-8"), read_results(RESULTS))
    except ResultsError as error:
        sys.exit(f"ci/results: {error}")
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
