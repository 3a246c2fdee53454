"""The generated CustomResourceDefinitions against the contracts, without an API server.

tests/integration/kubernetes tests what the server does with them (rules, defaults, pruning).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.contracts import labels
from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.base import format_duration
from fairlead.contracts.revision import Cause, Check, Phase, Rejected, Revision, State, Verdict
from fairlead.contracts.route import (
    GateSpec,
    MirrorSpec,
    RouteSpec,
    ScaleToZero,
    Step,
    Sticky,
    Strategy,
    Target,
    Timeouts,
    VersionRef,
    VersionSpec,
    WarmUp,
)
from fairlead.contracts.table import Mirror, Table
from fairlead.contracts.window import Counts, Window
from fairlead.store.kubernetes.schema.definitions import definitions
from fairlead.store.kubernetes.schema.write import files

CHART = Path(__file__).parents[4] / "charts" / "crds"
KINDS = {one["spec"]["names"]["kind"]: one for one in definitions()}


def schema_of(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = KINDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def parts(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of a schema with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from parts(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from parts(schema[key], f"{path}.{key}")


def complaints(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """The errors of an API server, without rules: unknown fields, wrong types, bounds. Only what our schemas use."""
    if value is None:
        if not schema.get("nullable"):
            yield f"{path}: null"
        return
    if not isinstance(value, _KINDS[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean"):
        yield f"{path}: {value!r} is no {schema['type']}"
        return
    for key, holds in _BOUNDS.items():
        if key in schema and not holds(value, schema[key]):
            yield f"{path}: {value!r} breaks {key} {schema[key]!r}"
    if isinstance(value, dict):
        yield from _of_object(schema, value, path)
    for number, item in enumerate(value if isinstance(value, list) else ()):
        yield from complaints(schema["items"], item, f"{path}[{number}]")


_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "enum": lambda value, allowed: value in allowed,
    "pattern": lambda value, pattern: re.search(pattern, value) is not None,
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "maxLength": lambda value, bound: len(value) <= bound,
    "maxItems": lambda value, bound: len(value) <= bound,
    "minProperties": lambda value, bound: len(value) >= bound,
    "maxProperties": lambda value, bound: len(value) <= bound,
}


def _of_object(schema: dict[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
    fields, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: missing"
    for name, inner in value.items():
        if name in fields:
            yield from complaints(fields[name], inner, f"{path}.{name}")
        elif others is not None:
            yield from complaints(others, inner, f"{path}.{name}")
        else:
            yield f"{path}.{name}: unknown"


# The files


def test_the_files_of_the_chart_are_current() -> None:
    written = {path.name: path.read_text() for path in (CHART / "templates").glob("modelroute*.yaml")}
    assert written == files(), "run ci/crds"


@pytest.mark.parametrize("name", sorted(files()))
def test_each_definition_stays_below_22_kilobytes(name: str) -> None:
    """A bound against growth, raised for scale to zero: `minInstances` and `scaleToZero` need 1.5 kilobytes."""
    assert len(files()[name].encode()) < 22_000


@pytest.mark.parametrize("name", sorted(files()))
def test_the_files_contain_no_helm_template_syntax(name: str) -> None:
    assert "{{" not in files()[name]


@pytest.mark.parametrize("name", sorted(files()))
def test_no_field_name_is_a_yaml_boolean(name: str) -> None:
    assert re.findall(r"(?<![\w'])[yYnN](?=:)", files()[name]) == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_part_of_a_schema_is_structural(kind: str) -> None:
    allowed = {
        *("type", "description", "properties", "items", "additionalProperties", "required", "nullable", "format"),
        *("pattern", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties"),
        *("maxProperties", "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
    }
    for path, part in parts(schema_of(kind)):
        assert isinstance(part.get("type"), str), path
        shown = path in (".status.lastWindow", ".status.shadow", ".status.evidence", ".status.wanted.items")
        assert set(part) <= allowed | ({"x-kubernetes-preserve-unknown-fields"} if shown else set()), path


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_list_and_map_that_a_rule_reads_is_bounded(kind: str) -> None:
    rules = [(path, rule) for path, part in parts(schema_of(kind)) for rule in part.get("x-kubernetes-validations", ())]
    schemas = dict(parts(schema_of(kind)))
    for path, rule in rules:
        read = {f"{path}.{name}" for name in re.findall(r"self\.(\w+)", rule["rule"])} | {path}
        for one in read & set(schemas):
            part = schemas[one]
            assert part["type"] != "array" or "maxItems" in part, one
            assert part["type"] != "object" or "properties" in part or "maxProperties" in part, one


@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_top_level_field_of_a_route_has_a_description(part: str) -> None:
    explained = schema_of("ModelRoute")["properties"][part]["properties"]
    assert {name for name, inner in explained.items() if not inner.get("description")} <= {
        *("phase", "paused", "route", "lastWindow")
    }


def test_descriptions_contain_the_defaults() -> None:
    strategy = schema_of("ModelRoute")["properties"]["spec"]["properties"]["strategy"]["properties"]
    assert strategy["rollbackWindow"]["description"].endswith('Default: "1h".')


def test_names_are_those_of_the_labels_module() -> None:
    assert {one["spec"]["group"] for one in definitions()} == {labels.GROUP}
    assert {kind: one["spec"]["names"]["shortNames"] for kind, one in KINDS.items()} == {
        "ModelRoute": ["mr"],
        "ModelRouteRevision": ["mrr"],
        "ModelRouteAction": ["mra"],
    }


def test_the_status_is_a_subresource() -> None:
    with_status = {kind for kind, one in KINDS.items() if "subresources" in one["spec"]["versions"][0]}
    assert with_status == {"ModelRoute", "ModelRouteAction"}


def test_the_values_of_the_chart_list_its_policies() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    templates = {path.stem.removeprefix("policy-") for path in (CHART / "templates").glob("policy-*.yaml")}
    assert {re.sub("([A-Z])", r"-\1", name).lower() for name in values["policies"]} == templates


# Whatever a contract accepts, the schema accepts

NAMES = st.text("ab09-", min_size=1, max_size=40).map(lambda text: f"{text[:-1].lstrip('-')}z")
VERSIONS = st.text("a09.-", min_size=1, max_size=40).map(lambda text: f"{text[:-1].lstrip('.-')}0")
REFS = st.builds(VersionRef, version=VERSIONS, identity=st.text("0123456789abcdef", min_size=10, max_size=10))
TEXT = st.text(max_size=40)
DURATIONS = st.integers(min_value=0, max_value=366 * 86_400_000).map(lambda ms: ms / 1000)
MOMENTS = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
WEIGHTS = st.integers(1, 10_000)


@st.composite
def timeouts(draw: st.DrawFn) -> Timeouts:
    request = draw(st.integers(1, 86_400_000))
    per_try = draw(st.none() | st.integers(1, request))
    return Timeouts(request=request / 1000, per_try=None if per_try is None else per_try / 1000)


@st.composite
def specs(draw: st.DrawFn) -> RouteSpec:
    """Any route spec in a cluster."""
    cold = st.sampled_from([None, 0])
    versions = st.builds(VersionSpec, image=TEXT, artifact=TEXT, instances=st.integers(1, 64), min_instances=cold)
    found = draw(st.dictionaries(VERSIONS, versions, min_size=1, max_size=5))
    names = st.sampled_from(sorted(found))
    weights = sorted(draw(st.sets(WEIGHTS, max_size=6)))
    gates = draw(st.sets(st.sampled_from(["ready", "smoke", "acknowledged", "capacity"])))
    return RouteSpec(
        model=draw(NAMES),
        versions=found,
        target=Target(version=draw(names)),
        sticky=draw(st.none() | st.builds(Sticky, header=st.text("abc-9", max_size=63).map("x".__add__))),
        timeouts=draw(timeouts()),
        scale_to_zero=ScaleToZero(after=draw(st.floats(1, 1e6)), wait=draw(st.floats(0.001, 600))),
        idempotent=draw(st.booleans()),
        mirrors=tuple(draw(st.lists(st.builds(MirrorSpec, version=names, share=WEIGHTS), max_size=8))),
        strategy=Strategy(
            warm_up=draw(st.builds(WarmUp, deadline=DURATIONS, soak=DURATIONS, restart=DURATIONS, smoke=st.booleans())),
            steps=tuple(
                Step(weight=weight, min_duration=draw(DURATIONS), approval=draw(st.booleans())) for weight in weights
            ),
            gates=tuple(GateSpec(name=gate, role=draw(st.sampled_from(["guard", "signal"]))) for gate in sorted(gates)),
            rollback_window=draw(DURATIONS),
        ),
    )


@st.composite
def revisions(draw: st.DrawFn) -> Revision:
    """Any revision."""
    stable, candidate = draw(st.lists(REFS, min_size=2, max_size=2, unique=True))
    counts = st.integers(0, 10**9).flatmap(lambda n: st.builds(Counts, n=st.just(n), bad=st.integers(0, n)))
    windows = st.builds(Window, start=MOMENTS, end=MOMENTS, weight=WEIGHTS, candidate=counts, stable=counts)
    numbers = st.dictionaries(
        st.text("abc_", min_size=1, max_size=12), st.floats(allow_nan=False, allow_infinity=False)
    )
    checks = st.builds(Check, gate=TEXT, verdict=st.sampled_from(Verdict), reason=TEXT, numbers=numbers)
    return Revision(
        namespace=draw(NAMES),
        route=draw(NAMES),
        seq=draw(st.integers(1, 10**6)),
        parent=draw(st.sampled_from(["", "0" * 64])),
        cause=draw(st.sampled_from(Cause)),
        actor=draw(TEXT),
        reason=draw(TEXT),
        action=draw(st.none() | NAMES),
        generation=draw(st.integers(1, 10**6)),
        table=Table(
            model=draw(NAMES),
            stable=stable,
            candidate=candidate,
            weight=draw(WEIGHTS),
            pins=(stable, candidate),
            mirrors=tuple(draw(st.lists(st.builds(Mirror, version=st.just(stable), share=WEIGHTS), max_size=3))),
            sticky=draw(st.none() | st.just("x-user-id")),
        ),
        state=State(
            phase=draw(st.sampled_from(Phase)),
            target=candidate,
            previous=draw(st.none() | REFS),
            promoted_at=draw(st.none() | MOMENTS),
            entered_at=draw(MOMENTS),
            rejected=tuple(draw(st.lists(st.builds(Rejected, ref=REFS, revision=WEIGHTS, reason=TEXT), max_size=3))),
        ),
        evidence=tuple(draw(st.lists(checks, max_size=3))),
        windows=tuple(draw(st.lists(windows, max_size=3))),
        created_at=draw(MOMENTS),
    ).sealed()


@given(specs())
def test_every_route_that_the_contract_accepts_fits_the_schema(spec: RouteSpec) -> None:
    document = spec.to_json()
    for version in document["versions"].values():
        del version["source"], version["folder"]  # for local use only
    assert list(complaints(schema_of("ModelRoute")["properties"]["spec"], document)) == []


@given(revisions())
@settings(max_examples=50)
def test_every_revision_fits_the_schema(revision: Revision) -> None:
    assert list(complaints(schema_of("ModelRouteRevision")["properties"]["spec"], revision.to_json())) == []


@st.composite
def actions(draw: st.DrawFn) -> Action:
    """Any action."""
    number = st.none() | WEIGHTS
    return Action(
        name=draw(NAMES),
        route=draw(NAMES),
        type=draw(st.sampled_from(ActionType)),
        attempt=draw(number),
        step=draw(number),
        to_revision=draw(number),
        even_if_down=draw(st.booleans()),
        even_if_stable_serves=draw(st.booleans()),
        pause_for=draw(st.none() | st.integers(0, 10**7).map(float)),
        actor=draw(TEXT),
        reason=draw(TEXT),
        created_at=draw(MOMENTS),
        expires_at=draw(st.none() | MOMENTS),
        outcome=draw(st.sampled_from(Outcome)),
        message=draw(TEXT),
        revision=draw(number),
    )


@given(actions())
@settings(max_examples=50)
def test_every_action_fits_the_schema_in_two_parts(action: Action) -> None:
    document, schema = action.to_json(), schema_of("ModelRouteAction")["properties"]
    del document["name"], document["namespace"]
    status = {name: document.pop(name) for name in schema["status"]["properties"] if name in document}
    assert list(complaints(schema["spec"], document)) == []
    assert list(complaints(schema["status"], status)) == []


@given(st.integers(0, 10**9).map(lambda ms: format_duration(ms / 1000)))
def test_every_duration_that_we_write_fits_its_pattern(text: str) -> None:
    schema = schema_of("ModelRoute")["properties"]["spec"]["properties"]["strategy"]["properties"]["rollbackWindow"]
    assert list(complaints(schema, text)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"model": "Iris"},
        {"target": {}},
        {"versions": {}},
        {"strategy": {"steps": [{"weight": 0}]}},
        {"strategy": {"steps": [{"weight": 500, "minDuration": "soon"}]}},
        {"strategy": {"gates": [{"name": "vibes"}]}},
        {"mirrors": [{"version": "1.0.0", "share": 10_001}]},
        {"targets": {"version": "1.0.0"}},
        {"idempotent": None},
    ],
)
def test_the_schema_refuses_what_the_contract_refuses(change: dict[str, Any]) -> None:
    good = {"model": "iris", "versions": {"1.0.0": {"image": "iris@sha256:0"}}, "target": {"version": "1.0.0"}}
    schema = schema_of("ModelRoute")["properties"]["spec"]
    assert list(complaints(schema, good)) == []
    with pytest.raises(ValueError, match="validation error"):
        RouteSpec.model_validate(good | change)
    assert list(complaints(schema, good | change))
