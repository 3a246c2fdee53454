"""Commands that pages, notes and errors print: versions are quoted, and none is one that docs/upgrade.md warns of."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from charts.sample import IRIS
from fairlead.cli.cluster import managed_elsewhere
from fairlead.contracts.route import Route, RouteSpec
from support.helm import CHARTS, ROOT, helm, notes

WARNS = "docs/upgrade.md"
UNQUOTED = re.compile(r"--set[ =]\S*\b(target|model|tag|version|release)\b\S*=")
"""`--set` reads 2 as a number; MLflow's versions are 1, 2, 3."""


def printed() -> list[Path]:
    """Everything that people read: pages, templates and the texts of the command line."""
    patterns = (
        "README.md",
        "docs/**/*.md",
        "charts/**/*.md",
        "charts/*/templates/*.txt",
        "services/**/*.py",
        "k8s/**/*.yaml",
        "*.yaml",
    )
    return [path for pattern in patterns for path in ROOT.glob(pattern)]


@pytest.mark.parametrize("forbidden", [UNQUOTED, re.compile("--reuse-values"), re.compile(r"'fairlead\[")])
def test_no_printed_command_is_one_that_we_warn_of(forbidden: re.Pattern[str]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in printed()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if forbidden.search(line) and not explains(path, line)
    ]
    assert found == []
    assert len(printed()) > 200


def explains(path: Path, line: str) -> bool:
    """Whether the line says why not: the page that warns, a decision, and our own docstrings and templates."""
    name = path.relative_to(ROOT).as_posix()
    return name == WARNS or name.startswith("docs/decisions/") or line.strip().startswith("`--reuse-values`")


@pytest.mark.parametrize(
    "line",
    [
        "helm upgrade iris charts/model --set target=2",
        "helm upgrade iris charts/model --set=target=1.1.0",
        "helm upgrade shop . --set iris.target=2",
        "helm install iris charts/model --set platform.release=7",
    ],
)
def test_the_search_finds_a_command_without_quotes(line: str) -> None:
    assert UNQUOTED.search(line)
    assert not UNQUOTED.search(line.replace("--set", "--set-string"))


def route(target: str) -> Route:
    spec = RouteSpec(model="iris", versions={"1": {}, "2": {}}, target={"version": target})
    return Route(namespace="models", name="iris", spec=spec, created_at=datetime(2026, 1, 1, tzinfo=UTC))


def test_a_release_under_helm_is_refused_with_quoted_lines_and_the_whole_values_file() -> None:
    refused = managed_elsewhere(route("1"), "2", "Helm", "iris-prod", "models")
    assert refused.message == "iris is managed by Helm: the next upgrade would undo this release"
    assert (refused.hint or "").splitlines() == [
        "change the line in your values file, then upgrade with the file:",
        '  -target: "1"',
        '  +target: "2"',
        "  helm upgrade iris-prod charts/model --namespace models --values YOUR-VALUES.yaml",
    ]


def test_what_accepts_breaking_types_is_a_line_of_the_values_file_too() -> None:
    refused = managed_elsewhere(route("2"), "2", "Flux", None, "models", accept="2 after iris.7")
    assert (refused.hint or "").splitlines()[1:] == ['  +acceptBreaking: "2 after iris.7"']


@pytest.mark.parametrize("manager", ["Argo CD", "Flux", "Helm"])
def test_a_release_under_another_manager_is_refused_with_quoted_lines(manager: str) -> None:
    refused = managed_elsewhere(route("1"), "2", manager, None, "models")
    assert '-target: "1"' in (refused.hint or "")
    assert '+target: "2"' in (refused.hint or "")


def test_notes_quote_the_names_that_a_command_sets() -> None:
    assert 'quoted: target: "2"' in notes("model", IRIS)
    edge = helm("install", "edge", CHARTS / "platform", "--dry-run=client")
    assert "--set-string platform.release=edge" in edge
