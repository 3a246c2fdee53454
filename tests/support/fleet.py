"""k8s/fleet: its models and environments, and the objects that they render to."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from support.helm import ROOT, Rendered, find_helm, render

FLEET = ROOT / "k8s/fleet"
ENVIRONMENTS = ("dev", "staging", "prod")


@dataclass(frozen=True, slots=True)
class Place:
    """One model of the fleet, or the platform of a team, in one environment."""

    environment: str
    model: str
    """Its folder, such as search/ranker; search/platform is the team's platform."""

    @property
    def team(self) -> str:
        """The team, whose name the namespace has."""
        return self.model.split("/")[0]

    @property
    def name(self) -> str:
        """The name of the model; `platform` for one."""
        return self.model.split("/")[1]

    @property
    def is_platform(self) -> bool:
        """Whether it is no model."""
        return self.name == "platform"

    def __str__(self) -> str:
        return f"{self.environment}:{self.model}"


def script(*arguments: str, folder: Path = FLEET, charts: Path = ROOT / "charts") -> str:
    """What `k8s/fleet/fleet` prints. Raises CalledProcessError."""
    known = {**os.environ, "HELM": find_helm(), "CHARTS": str(charts)}
    done = subprocess.run([folder / "fleet", *arguments], capture_output=True, text=True, check=True, env=known)
    return done.stdout


@cache
def places() -> tuple[Place, ...]:
    """Every model and every platform in every environment, as the script lists them."""
    models = script("list").split()
    return tuple(Place(environment, model) for environment in ENVIRONMENTS for model in models)


def rendered(place: Place, namespace: str = "") -> Rendered:
    """What the script renders, in another namespace if one is named."""
    files = [word for file in script("values", place.environment, place.model).split() for word in ("--values", file)]
    chart, release = ("platform", "fairlead") if place.is_platform else ("model", place.name)
    return render(
        chart,
        release=release,
        namespace=namespace or place.team,
        more=[str((FLEET / word).resolve()) if word != "--values" else word for word in files],
    )


@cache
def all_rendered() -> dict[Place, Rendered]:
    """All of them, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(places(), pool.map(rendered, places()), strict=True))


@cache
def values_of(place: Place) -> dict[str, Any]:
    """The values of a model, merged as helm merges them."""
    found: dict[str, Any] = {}
    for file in script("values", place.environment, place.model).split():
        found = _over(found, yaml.safe_load((FLEET / file).read_text()))
    return found


def _over(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{name: _over(old.get(name), value) for name, value in new.items()}}
