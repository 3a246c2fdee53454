"""Builds values.schema.json from a tree of values: a strict schema that reuses Fairlead's contracts."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel

from fairlead.contracts.base import Duration
from fairlead.contracts.manifest import ModelName, Version
from fairlead.contracts.platform import Host, Origin
from fairlead.contracts.route import PERCENT, RouteSpec, VersionSpec
from fairlead.serving.settings import Settings
from values_tree import Key, ValuesError

Schema = dict[str, Any]

DEFINITIONS = Path(__file__).with_name("definitions.yaml")
_DROPPED = ("title", "default")
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def build(chart: str, keys: Iterable[Key]) -> Schema:
    """The schema of a chart's values, still with the patterns of texts.

    Raises ValuesError for a key whose type cannot be derived from its default.
    """
    definitions = yaml.safe_load(DEFINITIONS.read_text())
    contracts: Schema = {}
    root = _object({key.path[0]: _of(key, contracts) for key in keys})
    # Helm adds these itself: the global values, and a map for the library chart. `enabled` is what an umbrella chart
    # usually names as the condition of a dependency; Helm evaluates it and leaves it among the values.
    root["properties"]["enabled"] = {
        "type": ["boolean", "null"],
        "description": "For an umbrella chart's `condition`; the chart itself does not read it.",
    }
    root["properties"]["global"] = {"type": ["object", "null"], "description": "Values that Helm hands to every chart."}
    root["properties"]["fairlead-common"] = _object({"global": {"type": "object"}})
    if chart == "model":
        definitions["workload"] = {**_without_defaults(root["properties"]["workload"])}
    used = _reachable(root, {**definitions, **contracts})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Values of the chart {chart}",
        **root,
        "$defs": {name: used[name] for name in sorted(used)},
    }


def _of(key: Key, contracts: Schema) -> Schema:
    extra: Schema = _resolved(key.schema, contracts)
    described: Schema = {"description": key.text}
    if "contract" in key.schema:
        return {**extra, **described}
    if key.children:
        return {**described, **_object({child.path[-1]: _of(child, contracts) for child in key.children}), **extra}
    if not extra.keys() & {"type", "$ref", "enum", "anyOf", "const"}:
        extra["type"] = _type_of(key, extra)
    return {**described, **extra}


def _type_of(key: Key, extra: Schema) -> str:
    kind = _TYPES.get(type(key.default))
    is_complete = {"array": "items" in extra, "object": "additionalProperties" in extra}
    if kind is None or not is_complete.get(kind, True):
        raise ValuesError(f"line {key.line}: {key.name}: the default does not show its type; add it with @schema")
    return kind


def _object(properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


# contracts


def _resolved(schema: Any, collected: Schema) -> Any:
    """The schema with each `{contract: Name}` in it replaced by the schema of that contract."""
    if isinstance(schema, list):
        return [_resolved(entry, collected) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if "contract" in schema:
        return _contract(str(schema["contract"]), collected)
    return {name: _resolved(value, collected) for name, value in schema.items()}


def _contract(name: str, collected: Schema) -> Schema:
    """The schema of a contract. Its inner definitions are added to `collected`."""
    schema = copy.deepcopy(_CONTRACTS[name]())
    for inner, definition in schema.pop("$defs", {}).items():
        collected[inner] = _clean(definition)
    cleaned: Schema = _clean(schema)
    return cleaned


def _route_field(field: str) -> Schema:
    whole = RouteSpec.model_json_schema(by_alias=True)
    for name, share in (("Step", "weight"), ("MirrorSpec", "share"), ("ShadowSpec", "share")):
        number = whole["$defs"][name]["properties"][share]
        # The chart renders a percentage as the number: the API server's rules compare numbers.
        whole["$defs"][name]["properties"][share] = {**number, "type": ["integer", "string"], "pattern": PERCENT}
    return {**whole["properties"][field], "$defs": whole["$defs"]}


def _serving() -> Schema:
    """The settings of a model service, except address, port, TLS and drain, which the chart computes."""
    whole = Settings.model_json_schema()
    computed = {"host", "port", "service", "folder_sha256", "check_folder", "failure_file", "drain_s", "finish_s"}
    computed |= {name for name in whole["properties"] if name.startswith("tls_")}
    return _object({to_camel(name): schema for name, schema in whole["properties"].items() if name not in computed})


def _instances() -> Schema:
    found: Schema = VersionSpec.model_json_schema()["properties"]["instances"]
    return found


_CONTRACTS: Mapping[str, Any] = {
    "ModelName": lambda: TypeAdapter(ModelName).json_schema(),
    "Version": lambda: TypeAdapter(Version).json_schema(),
    "Host": lambda: TypeAdapter(Host).json_schema(),
    "Origin": lambda: TypeAdapter(Origin).json_schema(),
    "Duration": lambda: TypeAdapter(Duration).json_schema(),
    "instances": _instances,
    "serving": _serving,
    **{
        f"RouteSpec.{name}": (lambda field=name: _route_field(field))
        for name in ("sticky", "timeouts", "scaleToZero", "idempotent", "mirrors", "strategy")
    },
}


def _clean(schema: Any) -> Any:
    """The schema without titles and defaults: Helm does not apply defaults of a schema; they are in values.yaml."""
    if isinstance(schema, list):
        return [_clean(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned: Schema = {}
    for name, value in schema.items():
        if name == "properties":
            cleaned[name] = {field: _clean(inner) for field, inner in value.items()}
        elif name == "description":
            cleaned[name] = " ".join(str(value).split())
        elif name not in _DROPPED:
            cleaned[name] = _clean(value)
    return cleaned


def _without_defaults(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "required"}


def _reachable(root: Schema, definitions: Schema) -> Schema:
    """The definitions that the schema refers to, directly or through other definitions."""
    found: Schema = {}
    waiting = sorted(_names(root))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name not in definitions:
            raise ValuesError(f"definitions.yaml has no {name!r}")
        found[name] = definitions[name]
        waiting.extend(_names(definitions[name]))
    return found


def _names(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {name for entry in schema for name in _names(entry)}
    if not isinstance(schema, dict):
        return set()
    reference = schema.get("$ref")
    mine = {str(reference).removeprefix("#/$defs/")} if isinstance(reference, str) else set()
    return mine.union(*(_names(value) for value in schema.values()))
