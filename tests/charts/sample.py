"""Values with which the tests render the charts."""

from __future__ import annotations

from typing import Any

DIGEST = "sha256:" + "0123456789abcdef" * 4
OTHER_DIGEST = "sha256:" + "fedcba9876543210" * 4
ARTIFACT = "a1b2c3d4e5f60718" * 4

IRIS: dict[str, Any] = {
    "model": "iris",
    "target": "1.0.0",
    "versions": {"1.0.0": {"image": {"digest": DIGEST}}, "1.1.0": {"image": {"digest": OTHER_DIGEST}}},
}
"""A model with two versions."""

FETCHED: dict[str, Any] = {
    "artifact": ARTIFACT,
    "source": {"kind": "init", "uri": "https://models.example.com/iris-1.2.0.tar.gz"},
}
"""A version whose model folder an init container fetches."""


def with_version(name: str, version: dict[str, Any]) -> dict[str, Any]:
    """IRIS with one more version."""
    return {**IRIS, "versions": {**IRIS["versions"], name: version}}


def with_workload(**workload: Any) -> dict[str, Any]:
    """IRIS with these values for its pods."""
    return {**IRIS, "workload": workload}


def replaced(values: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of the values in which the value at `path` is `value`."""
    first, *rest = path
    if not rest:
        return {**values, first: value}
    return {**values, first: replaced(values.get(first) or {}, tuple(rest), value)}


FACTS = {"FAIRLEAD_NAMESPACE": "serving", "FAIRLEAD_RELEASE": "edge", "POD_NAME": "p", "POD_IP": "10.0.0.1"}
"""What the pod of the control plane is told of itself."""
