"""Finds helm, renders the charts with it and returns the manifests as plain data."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from support.missing import skip_or_fail

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
Object = dict[str, Any]
Values = Mapping[str, Any]


class HelmFailed(Exception):
    """helm ended with an error; the message is its output."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The output of `helm template`."""

    text: str
    objects: tuple[Object, ...]

    def of(self, kind: str) -> list[Object]:
        """The objects of this kind, without hooks."""
        return [one for one in self.objects if one["kind"] == kind and not _is_hook(one)]

    def one(self, kind: str, name: str | None = None) -> Object:
        """The only object of this kind, or the one with this name."""
        [found] = [one for one in self.of(kind) if name in (None, one["metadata"]["name"])]
        return found

    def hooks(self) -> list[Object]:
        """The hooks, which belong to no release: the pods of `helm test`."""
        return [one for one in self.objects if _is_hook(one)]

    def installed(self) -> list[Object]:
        """The objects of the release, without hooks."""
        return [one for one in self.objects if not _is_hook(one)]


def pod_of(deployment: Object) -> dict[str, Any]:
    """The pod spec of a Deployment."""
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def container_of(deployment: Object) -> dict[str, Any]:
    """The container named `model`."""
    return next(one for one in pod_of(deployment)["containers"] if one["name"] == "model")


@cache
def find_helm() -> str:
    """helm from $HELM, from ci/cluster-tools or from the PATH. Without one the test is skipped; in CI it fails."""
    places = [os.environ.get("HELM"), _built(), shutil.which("helm")]
    for place in places:
        if place and os.access(place, os.X_OK):
            return place
    raise skip_or_fail(
        "helm is missing: run `ci/cluster-tools helm`, install helm 3.18 or newer, or set HELM=/path/to/helm"
    )


def _built() -> str | None:
    tools = ROOT / "ci" / "cluster-tools"
    if not tools.exists():
        return None
    folder = subprocess.run([tools, "--folder"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{folder}/helm"


def helm(*arguments: str | Path, standard_input: str | None = None) -> str:
    """Run helm and return its output. Raises HelmFailed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
    done = subprocess.run(
        [find_helm(), *map(str, arguments)],
        input=standard_input,
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "HELM_NAMESPACE": "default"},
    )
    if done.returncode != 0:
        raise HelmFailed(done.stderr + done.stdout)
    return done.stdout


def render(
    chart: str,
    values: Values | None = None,
    *,
    release: str | None = None,
    namespace: str = "default",
    apis: Sequence[str] = (),
    more: Sequence[str] = (),
) -> Rendered:
    """Render a chart with these values on top of its own. Raises HelmFailed."""
    name = release or {"model": "iris", "platform": "fairlead"}.get(chart, chart)
    known = [word for api in apis for word in ("--api-versions", api)]
    text = helm(
        *("template", name, str(CHARTS / chart), "--namespace", namespace, "--values", "-", *known, *more),
        standard_input=_written(values or {}),
    )
    return Rendered(text, tuple(one for one in yaml.load_all(text, Loader=_Loader) if one))


def notes(chart: str, values: Values, *more: str) -> str:
    """The notes that `helm install` would print."""
    name = {"model": "iris", "platform": "fairlead"}[chart]
    text = helm(
        *("install", name, str(CHARTS / chart), "--dry-run=client", "--values", "-", *more),
        standard_input=_written(values),
    )
    return text.partition("\nNOTES:\n")[2]


def _written(values: Values) -> str:
    """The values as JSON. As YAML, some strings would have no quotes (`y`, `1_0`), and Go would not read strings."""
    return json.dumps(values)


def _is_hook(one: Object) -> bool:
    return "helm.sh/hook" in (one["metadata"].get("annotations") or {})


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A YAML loader that rejects duplicate keys, as the API server does."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    if len(keys) != len(set(keys)):
        raise yaml.constructor.ConstructorError(None, None, f"duplicate key in {keys}", node.start_mark)
    return {key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value, strict=True)}


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
