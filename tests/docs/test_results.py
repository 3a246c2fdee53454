"""The measured tables of docs/benchmarks.md match the stored results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.results import NO_RESULTS, PAGE, RESULTS, ResultsError, read_results, with_tables
from docs.tables import bare, table_below

ROOT = Path(__file__).resolve().parents[2]
MARKED = "before\n<!-- results: begin, written by ci/results -->\nstale\n<!-- results: end -->\nafter\n"


def a_result(**fields: object) -> dict[str, object]:
    claims = [{"what": "failed of 7", "target": "0", "measured": "1", "holds": False}]
    return {
        "name": "kills",
        "title": "kill -9",
        "command": "make bench BENCH=kills",
        "date": "2026-01-02",
        "machine": "2 cores",
        "versions": {"python": "3.11.1"},
        "holds": False,
        "claims": claims,
    } | fields


def test_the_page_shows_the_stored_results() -> None:
    page = PAGE.read_text()
    assert with_tables(page, read_results(RESULTS)) == page, "run ci/results"


def test_the_page_lists_every_proof_that_make_bench_runs() -> None:
    names = (ROOT / "ci/bench").read_text().partition("proofs=(")[2].partition(")")[0].split()
    listed = [bare(row[0]) for row in table_below(PAGE, "Benchmarks and proofs")]
    assert listed == names


def test_tables_replace_only_the_text_between_the_markers() -> None:
    once = with_tables(MARKED, [a_result()])
    assert "| failed of 7 | 0 | 1 | **does not hold** |" in once
    assert "Not every claim holds" in once
    assert once.startswith("before\n<!-- results: begin, written by ci/results -->\n")
    assert once.endswith("<!-- results: end -->\nafter\n")
    assert "stale" not in once
    assert with_tables(once, [a_result()]) == once


def test_a_page_without_results_says_so(tmp_path: Path) -> None:
    assert NO_RESULTS in with_tables(MARKED, read_results(tmp_path / "absent"))


def test_a_page_without_markers_is_an_error() -> None:
    with pytest.raises(ResultsError, match="results: begin"):
        with_tables("no markers\n", [])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not the JSON object"),
        ("[]", "not the JSON object"),
        (json.dumps({"name": "x"}), "has no claims, command"),
    ],
)
def test_the_error_names_a_result_that_has_another_form(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "odd.json").write_text(content)
    with pytest.raises(ResultsError, match=f"odd.json .*{complaint}"):
        read_results(tmp_path)
