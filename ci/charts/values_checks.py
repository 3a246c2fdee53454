"""Builds files/values.json, from which a chart's templates check its values before anything else reads them.

Helm validates against values.schema.json first. That schema says which keys and types there are. What a text must look
like is checked here, because the schema could only print a regular expression; and so is null, because Helm removes a
key that is null before it validates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import TypeAdapter

from fairlead.contracts.base import Duration
from fairlead.contracts.gates import BESIDE_A_LIMIT, CUSTOM, SETTINGS, AnyGate, GateName, GateSpec, camel_case
from fairlead.contracts.route import PERCENT
from fairlead.contracts.wording import DURATION, MODEL_NAME, PROMETHEUS_URL, SHA256, VERSION, WORDINGS, Wording
from values_tree import Key, ValuesError

Schema = dict[str, Any]
_LONGEST_DEFAULT = 40


def _pattern_of(contract: Any) -> str:
    return str(TypeAdapter(contract).json_schema()["pattern"])


_GATES = f"one of {', '.join(get_args(GateName))}, or {CUSTOM}<lower-case-name> for a gate of your own"
_TIME = Wording("a time", "a number with ms, s or m: 500ms, 15s, 1m")
_TAG = Wording("a tag of an image", 'letters, digits, ".", "_" and "-", at most 128: 1.0.0')
_ACCEPTED = Wording("an accepted version", "a version, or also after which revision: 1.1.0, 1.1.0 after iris.12")
_WORDINGS: Mapping[str, Wording] = {
    **WORDINGS,
    _pattern_of(Duration): DURATION,
    _pattern_of(AnyGate): Wording("a gate", _GATES),
    "^[0-9a-z]([0-9a-z.-]{0,38}[0-9a-z])?( after [0-9a-z.-]+)?$": _ACCEPTED,
    "^[0-9]+(ms|s|m)$": _TIME,
    "^([0-9]+(ms|s|m))?$": _TIME,
    "^[0-9]+h$": Wording("a number of hours", "a number with h: 2160h"),
    PERCENT: Wording("a share", "a percentage, such as 10% or 2.5%, or 1/10,000 as a number: 1000"),
    "^[0-9]+%$": Wording("a number of pods", "a number or a percentage: 1, 25%"),
    r"^([0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?)?$": Wording(
        "a quantity", "a number, with a unit of Kubernetes if it needs one: 500m, 2, 512Mi, 1Gi"
    ),
    "^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$": _TAG,
    "^(sha256:[0-9a-f]{64})?$": Wording("a digest", 'sha256: and 64 lower-case hex digits, "sha256:0123..."'),
    r"^[a-z0-9-]+(\.[a-z0-9-]+)*$": Wording("a DNS domain", "its name in lower case, no dot last: cluster.local"),
    "^([0-9a-f]{64})?$": SHA256,
    r"^(https?://[^\s/?#@]+(/[^\s?#]*)?)?$": PROMETHEUS_URL,
    "^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$": Wording(
        "a name of a port", 'lower-case letters, digits and "-", at most 15, with a letter: grpc, metrics-2'
    ),
    r"^(auto|cpu|cuda(:\d{1,2})?)$": Wording("a device", "auto, cpu, cuda, or cuda:1 for the second GPU"),
    r"^(time-sliced|mps|[1-7]g\.[0-9]+gb)?$": Wording(
        "a slice of a GPU", "time-sliced, mps, or a MIG profile with slices and memory: 1g.10gb"
    ),
    r"^(none|failures|all|(100|[0-9]{1,2}(\.[0-9]{1,4})?)%)$": Wording(
        "an access log", "none, failures, all, or a share of requests: 1%, 0.25%"
    ),
    r"^(100|[0-9]{1,2}(\.[0-9]{1,4})?)%$": Wording("a share of requests", "a percentage: 1%, 0.25%, 100%"),
    r"^((http|grpc)://[a-z0-9.:\[\]-]+:[0-9]{1,5})?$": Wording(
        "an endpoint of a collector", "http://HOST:4318 for OTLP over HTTP, or grpc://HOST:4317 for gRPC, without TLS"
    ),
    "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$": Wording(
        "a name of an object", 'lower-case letters, digits, "-" and ".": models-2026'
    ),
    "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$": Wording(
        "a name of a namespace", 'lower-case letters, digits and "-", at most 63: team-a'
    ),
    "^[-._a-zA-Z][-._a-zA-Z0-9]*$": Wording(
        "a name of an environment variable", 'letters, digits, "_", "." and "-", no digit first: LOG_LEVEL'
    ),
}
_UNQUOTED = (VERSION, _ACCEPTED, _TAG, MODEL_NAME)
"""Texts that look like a number so often that people forget the quotes. The schema allows numbers for them, so that
the templates can say what to do."""

_WITH_UNIT = (DURATION, _TIME)
"""Texts whose unit people forget. The schema allows numbers for them too, for the same reason."""


def build(schema: Schema, keys: Iterable[Key]) -> Schema:
    """The content of files/values.json. Raises ValuesError for a pattern of the schema that has no words."""
    patterns: Schema = {}
    values = _node(schema, schema["$defs"], patterns)
    _add_nulls(values, keys)
    return {"patterns": {name: patterns[name] for name in sorted(patterns)}, "values": values}


def without_patterns(schema: Any) -> Any:
    """The schema that Helm validates against: patterns are left to the templates."""
    if isinstance(schema, list):
        return [without_patterns(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if "anyOf" in schema and {"const": ""} in schema["anyOf"]:
        [text] = [option for option in schema["anyOf"] if option != {"const": ""}]
        schema = {**{name: value for name, value in schema.items() if name != "anyOf"}, **text}
    plain = {
        name: without_patterns(value) for name, value in schema.items() if name not in ("pattern", "propertyNames")
    }
    if _words(schema) in _UNQUOTED:
        plain["type"] = ["string", "number", "boolean"]
    if _words(schema) in _WITH_UNIT:
        plain["type"] = ["string", "number"]
    return plain


def _words(schema: Schema) -> Wording | None:
    pattern = schema.get("pattern")
    return _WORDINGS.get(pattern) if isinstance(pattern, str) else None


# texts


def _node(schema: Schema, definitions: Schema, patterns: Schema) -> Schema:
    """What to check below a value; empty if there is nothing."""
    node: Schema = {}
    if "$ref" in schema:
        definition = schema["$ref"].removeprefix("#/$defs/")
        schema = definitions[definition]
        node |= {"settings": _settings()} if definition == GateSpec.__name__ else {}
    for option in schema.get("anyOf", ()):
        node |= _node(option, definitions, patterns)
        node |= {"mayBeEmpty": True} if option == {"const": ""} else {}
    if "pattern" in schema:
        node["text"] = _named(str(schema["pattern"]), patterns)
    if "pattern" in schema.get("propertyNames", {}):
        node["names"] = _named(str(schema["propertyNames"]["pattern"]), patterns)
    below = {name: _node(inner, definitions, patterns) for name, inner in schema.get("properties", {}).items()}
    if found := {name: inner for name, inner in below.items() if inner}:
        node["below"] = found
    for every in ("additionalProperties", "items"):
        if isinstance(inner := schema.get(every), dict) and (found := _node(inner, definitions, patterns)):
            node["each"] = found
    return node


def _settings() -> Schema:
    """Which keys each gate may have beside its name and role, by the gate's name; those of a custom gate, also with a
    limit."""
    settings: Schema = {gate: sorted(map(camel_case, SETTINGS.get(gate, ()))) for gate in get_args(GateName)}
    settings[CUSTOM] = sorted(map(camel_case, SETTINGS[CUSTOM]))
    settings[f"{CUSTOM}limit"] = sorted(map(camel_case, BESIDE_A_LIMIT))
    return settings


def _named(pattern: str, patterns: Schema) -> str:
    """Adds the pattern to `patterns` and returns its name there."""
    words = _WORDINGS.get(pattern)
    if words is None:
        raise ValuesError(f"ci/charts/values_checks.py has no words for the pattern {pattern!r}; add them")
    name = f"{words.noun}{', or nothing' if pattern.endswith(')?$') and pattern.startswith('^(') else ''}"
    patterns[name] = {"pattern": pattern, "noun": words.noun, "shape": words.shape}
    if not words.is_shown:
        patterns[name]["isHidden"] = True
    if words in _UNQUOTED:
        patterns[name]["isQuoted"] = True
    if words in _WITH_UNIT:
        patterns[name]["hasUnit"] = True
    return name


# null


def _add_nulls(node: Schema, keys: Iterable[Key], *, of_contract: bool = False) -> None:
    """What null means for each documented key: its empty value, or `null`, the advice of the error."""
    for key in keys:
        inner = node.setdefault("below", {}).setdefault(key.path[-1], {})
        below_contract = of_contract or "contract" in key.schema
        inner |= _null(key, below_contract)
        if key.schema.get("mayBeEmpty"):
            inner["mayBeEmpty"] = True
        _add_nulls(inner, key.children, of_contract=below_contract)


def _null(key: Key, of_contract: bool) -> Schema:
    if key.default is None or "null" in _types(key.schema) or str(key.schema.get("contract")).endswith(".sticky"):
        return {}
    if key.children:
        *first, last = (child.path[-1] for child in key.children)
        names = f"{', '.join(first)} or {last}" if first else last
        return {"null": f"remove the line to keep the defaults, or set {names} below it"}
    if key.default in ("", [], {}):
        return {"empty": key.default}
    if isinstance(key.default, list | dict) and not of_contract:
        return {"empty": type(key.default)()}
    shown = str(key.default).lower() if isinstance(key.default, bool) else str(key.default)
    is_short = not isinstance(key.default, list | dict) and len(shown) <= _LONGEST_DEFAULT
    empty = ", or write [] for none" if isinstance(key.default, list) else ", or give another value"
    return {"null": f"remove the line for the default{f', {shown}' if is_short else ''}{empty}"}


def _types(schema: Schema) -> Iterator[str]:
    for option in schema.get("anyOf", ()):
        yield str(option.get("type"))
