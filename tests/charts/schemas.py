"""Validates objects against the schemas of every supported Kubernetes, our CRDs, and those of other projects."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import referencing
import yaml
from kubernetes_validate import utils as kubernetes_validate

from support.helm import CHARTS, Object

OLDEST = "1.31"
VERSIONS = [
    release
    for release in dict.fromkeys(kubernetes_validate.major_minor(one) for one in kubernetes_validate.all_versions())
    if tuple(map(int, release.split("."))) >= tuple(map(int, OLDEST.split(".")))
]
"""Every release from the charts' kubeVersion to the newest that has schemas."""

_OTHERS = Path(__file__).with_name("crds")
_CRDS = {
    "fairlead.dev": tuple((CHARTS / "crds" / "templates").glob("modelroute*.yaml")),
    "keda.sh": (Path(__file__).with_name("keda_scaledobjects.yaml"),),
    "gateway.networking.k8s.io": (_OTHERS / "httproutes.yaml",),
    "cert-manager.io": (_OTHERS / "certificates.yaml", _OTHERS / "issuers.yaml"),
    "monitoring.coreos.com": (_OTHERS / "podmonitors.yaml", _OTHERS / "prometheusrules.yaml"),
}
"""The files of the definitions of kinds, by API group. Ours contain no template code, so they need no rendering."""
_FOLDER = Path(str(kubernetes_validate.__file__)).parent / "kubernetes-json-schema"


def complaints(one: Object, release: str) -> list[str]:
    """The errors that this release of Kubernetes would report for the object; unknown fields are errors too."""
    files = _CRDS.get(one["apiVersion"].partition("/")[0])
    validator = _of_crd(one["kind"], files) if files else _of_kubernetes(one["apiVersion"], one["kind"], release)
    return [
        f"{one['kind']}/{one['metadata']['name']} {release}: {error.json_path}: {error.message}"
        for error in validator.iter_errors(one)
    ]


@cache
def _of_kubernetes(api_version: str, kind: str, release: str) -> Any:
    """The validator that kubernetes-validate would create. It is cached here, because creating one reads 10 MB."""
    [folder] = [one for one in _FOLDER.iterdir() if re.fullmatch(rf"v{re.escape(release)}\.\d+-local-strict", one.name)]
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = json.loads((folder / f"{kind.lower()}-{short}.json").read_text())
    return jsonschema.Draft202012Validator(schema, registry=_definitions(folder))


@cache
def _definitions(folder: Path) -> Any:
    definitions = json.loads((folder / "_definitions.json").read_text())
    return referencing.Resource.from_contents(definitions) @ referencing.Registry()


@cache
def _of_crd(kind: str, files: tuple[Path, ...]) -> Any:
    """The validator of a kind that one of these files defines."""
    for path in files:
        definition = yaml.safe_load(path.read_text())
        if definition["spec"]["names"]["kind"] == kind:
            [version] = definition["spec"]["versions"]
            schema = _strict(version["schema"]["openAPIV3Schema"])
            for known in ("apiVersion", "kind", "metadata"):
                schema["properties"].setdefault(known, {})
            return jsonschema.Draft202012Validator(schema)
    raise LookupError(f"no file defines {kind}")


def _strict(schema: Any) -> Any:
    """The schema as Kubernetes applies it: unknown properties are rejected, and `nullable` also allows null."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {name: _strict(value) for name, value in schema.items() if name not in ("format", "default")}
    if isinstance(schema.get("properties"), dict):
        copy["properties"] = {name: _strict(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            copy.setdefault("additionalProperties", False)
    if copy.pop("nullable", False) and "type" in copy:
        copy["type"] = [copy["type"], "null"]
    return copy
