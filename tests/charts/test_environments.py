"""k8s/environments: the values of each environment render, and production requires image digests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.sample import DIGEST, replaced
from charts.schemas import VERSIONS, complaints
from support.helm import ROOT, HelmFailed, render

ENVIRONMENTS = sorted(path.name for path in (ROOT / "k8s/environments").iterdir())


def values_of(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path.read_text())
    return values


def pinned(values: dict[str, Any]) -> dict[str, Any]:
    """The values with a digest for each version, as Skaffold sets them."""
    for name in values["versions"]:
        values = replaced(values, ("versions", name, "image", "digest"), DIGEST)
    return values


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_values_of_an_environment_render(environment: str) -> None:
    folder = ROOT / "k8s/environments" / environment
    for rendered in (
        render("platform", values_of(folder / "platform.yaml"), namespace="models"),
        render("model", pinned(values_of(folder / "iris.yaml")), namespace="models"),
    ):
        for one in rendered.objects:
            assert complaints(one, VERSIONS[-1]) == []


def test_production_refuses_an_image_without_a_digest() -> None:
    with pytest.raises(HelmFailed, match="image.requireDigest is on"):
        render("model", values_of(ROOT / "k8s/environments/prod/iris.yaml"))
