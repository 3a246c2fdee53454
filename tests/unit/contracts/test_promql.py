"""Queries of custom gates: which are accepted, and why others are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts import promql
from fairlead.contracts.parsing import parse
from fairlead.contracts.platform import Platform
from fairlead.contracts.prometheus import MetricSettings, PrometheusSettings
from fairlead.contracts.route import Strategy
from fairlead.errors import Invalid

GOOD = 'shop_orders_total{version="$version", result=~"lost|late"}'


def strategy(*gates: dict[str, Any]) -> Strategy:
    return parse(Strategy, {"gates": list(gates)}, "strategy.yaml")


def custom(**changes: Any) -> dict[str, Any]:
    return {"name": "custom-orders", "promql": {"bad": GOOD, "total": GOOD}, **changes}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ('rate(x_total{version="$version"}[1m])', "rate() is a rate, and a gate needs raw counters"),
        ('sum(increase(x_total{version="$version"}[5m]))', "sum() hides which instance counted what"),
        ('increase(x_total{version="$version"}[5m])', "increase() is a rate, and a gate needs raw counters"),
        ('sum by (code) (x_total{version="$version"})', "sum() hides which instance counted what"),
        ('x_total{version="$version"}[5m]', "a range is not needed"),
        ('x_total{version="$version"} offset 5m', "a moment is not needed"),
        ('x_total{version="$version"} / y_total', "not a selector"),
        ('job:x:rate5m{version="$version"}', "a recorded series"),
        ('x_total{version="$version"', "not a selector"),
        ("x_total{}", "would count all versions"),
        ("{}", "the selector is empty"),
        ('x_total{version="$candidate"}', "$candidate is not a variable; use one of $model"),
        ('x_total{model="$model"}', "would count all versions"),
    ],
)
def test_a_query_that_is_not_a_counter_of_one_version_is_refused_with_its_path(query: str, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        strategy(custom(promql={"bad": query, "total": GOOD}))
    assert told in refused.value.message
    assert refused.value.message.startswith("strategy.yaml: gates.0.promql")


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ({"name": "custom-orders"}, "gates.0.promql: a custom gate needs selectors"),
        (custom(name="custom-"), "gates.0.name: there is no gate 'custom-'"),
        (custom(name="custom-Orders"), "gates.0.name: there is no gate"),
        (custom(name="custom-" + "a" * 40), "gates.0.name: there is no gate"),
        (custom(name="errors"), "gates.0.promql: not a setting of gate 'errors'"),
        (custom(limit=0.1, margin=0.1), "gates.0.margin: not a setting of gate 'custom-orders': it has limit, promql"),
        (custom(limit=0), "gates.0.limit: Input should be greater than 0"),
        (custom(boundaries=["64ms"]), "gates.0.boundaries: not a setting"),
        ({"name": "errors", "limit": 0.1}, "gates.0.limit: not a setting of gate 'errors'"),
    ],
)
def test_an_invalid_gate_is_refused_with_its_path(gate: dict[str, Any], told: str) -> None:
    with pytest.raises(Invalid) as refused:
        strategy(gate)
    assert told in refused.value.message


def test_several_custom_gates_in_one_route_are_the_same_after_json() -> None:
    told = strategy(custom(), custom(name="custom-other", limit=0.02, weight=0.5, role="signal"))
    assert Strategy.model_validate(told.to_json()) == told
    with pytest.raises(Invalid, match="each gate may be named once"):
        strategy(custom(), custom())


def test_a_platform_without_prometheus_refuses_a_custom_gate_and_names_the_field() -> None:
    models = {"iris": {"versions": {"1.0.0": {"source": "m"}}, "target": "1.0.0", "strategy": {"gates": [custom()]}}}
    with pytest.raises(Invalid) as refused:
        parse(Platform, {"models": models}, "platform.yaml")
    assert "models.iris.strategy.gates.0.promql: no Prometheus is configured" in refused.value.message
    metrics = {"prometheus": {"url": "http://127.0.0.1:9090"}}
    assert parse(Platform, {"models": models, "metrics": metrics}, "platform.yaml").metrics.source == "gateways"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"source": "prometheus"}, "prometheus.url must be set"),
        (
            {"prometheus": {"url": "localhost:9090"}},
            "prometheus.url: this is not a URL of a Prometheus; write http",
        ),
        (
            {"prometheus": {"url": "http://u:p@h:1"}},
            "prometheus.url: this is not a URL of a Prometheus; write http",
        ),
        ({"prometheus": {"url": "http://h", "selector": "up"}}, "prometheus.selector: not a selector"),
        ({"prometheus": {"url": "http://h", "selector": 'a="$model"'}}, "prometheus.selector: only matchers"),
        ({"prometheus": {"url": "http://h", "timeout": "1h"}}, "prometheus.timeout: must be between 100ms and 5m"),
    ],
)
def test_invalid_settings_are_refused_with_their_path(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(MetricSettings, settings, "platform.yaml")
    assert told in refused.value.message


def test_braces_around_a_selector_are_not_needed_and_do_no_harm() -> None:
    told = [PrometheusSettings(url="http://h", selector=text).selector for text in ('job="a"', '{job="a"}')]
    assert told == ['job="a"', 'job="a"']


_LABEL = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
_VALUE = st.text(st.sampled_from("abc.|*$/{}()[] "), max_size=12).map(lambda one: one.replace("$", ""))
_MATCHER = st.tuples(_LABEL, st.sampled_from(["=", "!=", "=~", "!~"]), _VALUE).map(
    lambda one: f'{one[0]}{one[1]}"{one[2]}"'
)


@given(_LABEL, st.lists(_MATCHER, max_size=4))
def test_a_selector_is_parsed_with_any_value_of_a_matcher(name: str, matchers: list[str]) -> None:
    assert promql.parts(f"{name}{{{', '.join(matchers)}}}") == (name, ", ".join(matchers))


def test_variables_are_filled_in_with_and_without_braces() -> None:
    assert (
        promql.fill('x{a="$model",b="${version}-x"}', {"model": "iris", "version": "1.1.0"})
        == 'x{a="iris",b="1.1.0-x"}'
    )
