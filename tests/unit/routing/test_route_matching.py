"""Matching by path prefix finds the same route as trying all rules in order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fairlead.routing.compile import compile
from fairlead.routing.references import named_by_routes, routes_in
from fairlead.routing.rules import bases, model_in, rules
from fairlead.routing.snapshot import Resource, Routed
from unit.routing.tables import SETTINGS, V1, V2, Endpoints, fleets, iris

NAMES = ["iris", "sentiment", "a", "a-1", "v2", "a-12", "ir", "pending", "pend"]
ENDS = [
    "",
    "/",
    "/predict",
    "/predict/",
    "/docs/x",
    "/docsx",
    "/golden",
    "/feedback",
    ":predict",
    "/infer",
    "/versions/2/predict",
]
ENDS += ["/versions/1.0.0/predict", "/versions/9", "/versions", "?a=b", "/predict?a=b", "-1", "-1/predict", ":explain"]
paths = st.one_of(
    st.builds(
        "{}/models/{}{}".format, st.sampled_from(["", "/v1", "/v2"]), st.sampled_from(NAMES), st.sampled_from(ENDS)
    ),
    st.sampled_from(
        [
            "/",
            "/models",
            "/models/",
            "/v2",
            "/v2/",
            "/v2/health/live",
            "/v2/repository/index",
            "/v1",
            "/x",
            "/v2/models",
        ]
    ),
)
versions = st.none() | st.sampled_from(["", "1.0.0", "2", "9"])
methods = st.sampled_from(["GET", "POST"])


@given(fleets(), paths, versions, methods, st.booleans())
def test_every_request_gets_the_same_route_as_with_one_list_of_all_rules(
    fleet: tuple[list[Routed], Endpoints], path: str, version: str | None, method: str, explained: bool
) -> None:
    headers = {":path": path, ":method": method}
    headers |= {} if version is None else {"x-model-version": version}
    headers |= {"x-route-explain": "1"} if explained else {}
    [configuration] = compile(*fleet, SETTINGS, ["pending"]).routes.values()
    assert route_by_prefix(configuration, headers) == route_by_list(fleet[0], headers)


def test_routes_published_as_a_list_by_an_older_fairlead_are_read() -> None:
    [configuration] = compile([iris(candidate=V2, weight=5)], {}, SETTINGS).routes.values()
    host = {"routes": list(routes_in(configuration))}
    older = {**configuration, "virtual_hosts": [host]}
    assert named_by_routes([older]) == named_by_routes([configuration]) != frozenset()


def test_without_any_model_there_is_no_matcher_because_envoy_rejects_an_empty_map() -> None:
    [configuration] = compile([], {}, SETTINGS).routes.values()
    [host] = configuration["virtual_hosts"]
    assert "matcher" not in host
    assert [route["name"] for route in host["routes"]][-1] == "no-such-path"


def test_the_number_of_routes_grows_linearly_with_the_models() -> None:
    def routes(count: int) -> int:
        fleet = [Routed(f"m{n}", 1, iris(pins=(V1,)).table.model_copy(update={"model": f"m{n}"})) for n in range(count)]
        [configuration] = compile(fleet, {}, SETTINGS).routes.values()
        return len(list(routes_in(configuration)))

    assert routes(3) - routes(2) == routes(2) - routes(1)


def test_every_path_of_a_model_starts_with_exactly_one_of_its_bases() -> None:
    texts = [rule.path.text for rule in rules(iris(candidate=V2, weight=5).table)]
    assert all(sum(text.startswith(base) for base in bases("iris")) == 1 for text in texts)


def route_by_prefix(configuration: Resource, headers: Mapping[str, str]) -> str:
    """As Envoy matches: the longest prefix, then only that list, in order."""
    [host] = configuration["virtual_hosts"]
    if "routes" in host:
        return first(host["routes"], headers)
    by_prefix = host["matcher"]["matcher_tree"]["prefix_match_map"]["map"]
    matching = [prefix for prefix in by_prefix if headers[":path"].startswith(prefix)]
    chosen = by_prefix[max(matching, key=len)] if matching else host["matcher"]["on_no_match"]
    return first(chosen["action"]["typed_config"]["routes"], headers)


def route_by_list(fleet: Sequence[Routed], headers: Mapping[str, str]) -> str:
    """All rules of all models in one list, after the platform's own routes."""
    path = headers[":path"].partition("?")[0]
    own = {"/v2/health/live": "live", "/": "alive", "/models": "models", "/v2": "server-metadata"}
    own["/v2/repository/index"] = "repository"
    if path in own:
        return own[path]
    if headers.get("x-route-explain") == "1" and re.fullmatch("(/v[12])?/models/.+", path):
        return "explain"
    for one in fleet:
        for rule in rules(one.table):
            wanted, given = rule.version_header, headers.get("x-model-version")
            if not rule.path.matches(path) or rule.method not in (None, headers[":method"]):
                continue
            if rule.sticky_header is not None and rule.sticky_header not in headers:
                continue
            if wanted is None or (given is not None and wanted in ("", given)):
                return f"{one.route}:{rule.name}"
    return "pending:pending" if model_in(path) == "pending" else "no-such-path"


def first(routes: Sequence[Mapping[str, Any]], headers: Mapping[str, str]) -> str:
    """The name of the first route that matches, by the semantics of Envoy's fields."""
    return next(str(route["name"]) for route in routes if _matches(route["match"], headers))


def _matches(match: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    path = headers[":path"].partition("?")[0]
    for header in match.get("headers", ()):
        value = headers.get(header["name"])
        if value is None or value != header.get("string_match", {"exact": value})["exact"]:
            return False
    if "path_separated_prefix" in match:
        text = match["path_separated_prefix"]
        return path == text or path.startswith(f"{text}/")
    if "safe_regex" in match:
        return re.fullmatch(match["safe_regex"]["regex"], path) is not None
    return path == match["path"] if "path" in match else path.startswith(match["prefix"])
