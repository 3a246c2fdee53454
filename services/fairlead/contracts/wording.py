"""Says in words what a text must look like, for errors that would otherwise print a regular expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, StringConstraints

from fairlead.contracts import action, manifest, prometheus, route, scenario


@dataclass(frozen=True, slots=True)
class Wording:
    """What a text is, and how to write it, with an example."""

    noun: str
    """With its article: `a version`."""
    shape: str

    def refuse(self, value: object) -> str:
        """The sentence that refuses a value."""
        return f"{str(value)!r} is not {self.noun}; write {self.shape}"


MODEL_NAME = Wording(
    "a model name", 'lower-case letters, digits and "-", at most 40, a letter or digit first and last: iris, fraud-eu'
)
VERSION = Wording(
    "a version",
    'lower-case letters, digits, "." and "-", at most 40, a letter or digit first and last: 1.0.0, 2, 3.1-rc1',
)
SHA256 = Wording("a SHA-256", "its 64 lower-case hex digits, as sha256sum prints them")
DURATION = Wording("a duration", "500ms, 30s, 5m, 2h or 1h30m")


def _pattern(annotated: Any) -> str:
    """The pattern of an annotated string type, which may be optional."""
    found = [one.pattern for one in get_args(annotated) if isinstance(one, StringConstraints)]
    return str(found[0]) if found else _pattern(get_args(annotated)[0])


def _field(model: type[BaseModel], name: str) -> str:
    """The pattern of a field."""
    field = model.model_fields[name]
    found = [one.pattern for one in field.metadata if getattr(one, "pattern", None)]
    return str(found[0]) if found else _pattern(field.annotation)


WORDINGS: Mapping[str, Wording] = {
    _pattern(manifest.ModelName): MODEL_NAME,
    _pattern(manifest.Version): VERSION,
    _pattern(manifest.Sha256): SHA256,
    _field(manifest.Tensor, "name"): Wording(
        "a tensor name", 'letters, digits, "_", "." and "-", a letter or "_" first: sepal_length'
    ),
    _field(manifest.Manifest, "entry"): Wording("an entry", "module:Class, without .py: iris_model:Iris"),
    _pattern(route.HeaderName): Wording(
        "a header name", 'lower-case letters, digits and "-", a letter first, at most 64: x-user-id'
    ),
    _field(route.VersionRef, "identity"): Wording("an identity", "10 lower-case hex digits: 0a1b2c3d4e"),
    _pattern(scenario.Name): Wording(
        "a name", 'lower-case letters, digits and "-", a letter or digit first and last: slow-candidate'
    ),
    _field(action.Action, "name"): Wording(
        "an action name", 'lower-case letters, digits, "." and "-", a letter or digit first and last: iris-rollback-1'
    ),
    _pattern(prometheus.LabelName): Wording("a label name", 'letters, digits and "_", no digit first: pod'),
    _field(prometheus.PrometheusSettings, "url"): Wording(
        "a URL of a Prometheus",
        "http:// or https:// and the host, without user, query or fragment: http://prometheus:9090",
    ),
}
"""The words for the patterns of the contracts, by pattern."""


def pattern_mismatch(pattern: str, value: object) -> str | None:
    """The sentence that refuses a value by its pattern; None for a pattern without words."""
    found = WORDINGS.get(pattern)
    return found.refuse(value) if found else None
