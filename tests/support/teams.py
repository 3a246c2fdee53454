"""k8s/teams: one platform for several namespaces, and the objects that its files render to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import yaml

from support.helm import ROOT, Rendered, render

TEAMS = ROOT / "k8s/teams"
PLATFORM = "serving"
"""The platform's namespace."""


def namespaces() -> list[dict[str, Any]]:
    """The namespaces, as the file creates them."""
    return list(yaml.safe_load_all((TEAMS / "namespaces.yaml").read_text()))


def platform_values() -> dict[str, Any]:
    """The values of the platform."""
    found: dict[str, Any] = yaml.safe_load((TEAMS / "platform.yaml").read_text())
    return found


@cache
def rendered() -> Mapping[str, Rendered]:
    """The platform, and each model by team and name: pricing/discounts."""
    found = {"platform": render("platform", namespace=PLATFORM, more=["--values", str(TEAMS / "platform.yaml")])}
    for path in sorted(TEAMS.glob("*/*.yaml")):
        team, model = path.parent.name, path.stem
        found[f"{team}/{model}"] = render("model", release=model, namespace=team, more=["--values", str(path)])
    return MappingProxyType(found)
