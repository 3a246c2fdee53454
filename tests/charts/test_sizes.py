"""charts/platform/sizes: each file renders, and is what docs/sizing.md says."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from charts.schemas import VERSIONS, complaints
from docs.tables import bare, table_below
from support.helm import CHARTS, ROOT, render

PAGE = ROOT / "docs" / "sizing.md"
SIZES = sorted(path.stem for path in (CHARTS / "platform" / "sizes").iterdir())


def values_of(size: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHARTS / "platform" / "sizes" / f"{size}.yaml").read_text())
    return values


@pytest.mark.parametrize("size", SIZES)
def test_a_size_renders_objects_that_kubernetes_accepts(size: str) -> None:
    for one in render("platform", values_of(size), namespace="models").objects:
        assert complaints(one, VERSIONS[-1]) == []


def test_the_medium_size_is_what_the_chart_does_by_default() -> None:
    assert render("platform", values_of("medium")).objects == render("platform", {}).objects


@pytest.mark.parametrize("size", SIZES)
def test_the_page_names_replicas_and_memory_of_each_size(size: str) -> None:
    values, part = values_of(size), {"control plane": "controlPlane", "gateway": "gateway"}
    rows = {bare(row[0]): row for row in table_below(PAGE, "The three sizes")}
    column = 1 + ["small", "medium", "large"].index(size)
    for name, key in part.items():
        assert int(rows[f"{name} pods"][column].split()[0]) == values[key]["replicas"]
        assert rows[f"memory limit of a {name} pod"][column] == values[key]["resources"]["limits"]["memory"]
