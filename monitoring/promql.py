"""Writes PromQL. A metric, label or value that the telemetry contract does not declare is a ValueError."""

from __future__ import annotations

import re
from collections.abc import Callable

from fairlead.contracts.gateway import Role
from fairlead.contracts.telemetry import Metric

TARGET_LABELS = frozenset({"job", "instance", "namespace", "pod", "fairlead_process"})
"""Labels that the scrape adds. `fairlead_process` is gateway, control-plane or model; PodMonitors and the file of
targets on one machine set it. `pod` is only in a cluster."""
CLASS = "envoy_response_code_class"
IDENTITY = ("namespace", "model", "version")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
_UNDERSCORES = (3, 3, 2, 1)
"""How many underscores each replacement turns into dots, if there are so many: together any number up to nine."""
USERS = f"~{Role.SPLIT}|{Role.AGGREGATE}"
"""The clusters of users' requests: those of stable's share, and those of the candidate's. An aggregate has the answers
that users got, also where stable answered in the candidate's place."""
_MATCHER = re.compile(r"(!~|!=|~|=)?(.*)", re.DOTALL)


def series(metric: Metric, suffix: str = "", /, **matchers: str) -> str:
    """A selector: `series(M, code="200")`, `series(M, code="~5..")`, `series(M, code="!=200")`.

    Raises ValueError for a label that the metric does not have, and for a value that the label cannot have.
    """
    if suffix not in SUFFIXES[metric.kind]:
        raise ValueError(f"{metric.name} is a {metric.kind} and has no series {metric.name}{suffix}")
    found = []
    for label, matcher in matchers.items():
        _check_label(metric, suffix, label)
        operator, value = _split(matcher)
        _check_value(metric, label, operator, value)
        found.append(f'{label}{operator}"{value}"')
    return f"{metric.name}{suffix}{{{','.join(found)}}}" if found else f"{metric.name}{suffix}"


def total(expression: str, *labels: str) -> str:
    """The sum over everything but these labels."""
    return f"sum by ({', '.join(labels)}) ({expression})"


def largest(expression: str, *labels: str) -> str:
    """The maximum over everything but these labels: of replicas of the control plane only the leader reports."""
    return f"max by ({', '.join(labels)}) ({expression})"


def rate(selector: str, window: str) -> str:
    """Events per second."""
    return f"rate({selector}[{window}])"


def average(selector: str, window: str) -> str:
    """The mean of a gauge over the window."""
    return f"avg_over_time({selector}[{window}])"


def increase(selector: str, window: str) -> str:
    """Events in the window."""
    return f"increase({selector}[{window}])"


def of_version(
    metric: Metric, suffix: str, window: str, *labels: str, over: Callable[[str, str], str] = rate, **matchers: str
) -> str:
    """The rate of a gateway's counter, or its increase, by namespace, model, version and further labels. Versions are
    as they are written: `1_1_0` becomes `1.1.0`."""
    matchers = {"fairlead_role": USERS, **matchers}
    by = [f"fairlead_{label}" for label in IDENTITY]
    expression = total(over(series(metric, suffix, **matchers), window), *by, *labels)
    for label in IDENTITY[:2]:
        expression = _copied(expression, label, f"fairlead_{label}")
    expression = with_dots(_copied(expression, "version", "fairlead_version"))
    return total(expression, *IDENTITY, *labels)


def of_gauge(metric: Metric, *labels: str, **matchers: str) -> str:
    """The sum of a gateway's gauge, by namespace, model, version and further labels, as in `of_version`."""
    return of_version(metric, "", "", *labels, over=lambda selector, _: selector, **matchers)


def of_cluster(metric: Metric, window: str, *, role: Role) -> str:
    """The same of a counter whose series have only the name of the cluster: `split~default~iris~1_1_0`."""
    expression = total(rate(series(metric, envoy_cluster_name=f"~{role}~.*"), window), "envoy_cluster_name")
    for at, label in enumerate(IDENTITY):
        skipped = "[^~]+~" * (at + 1)
        expression = _copied(expression, label, "envoy_cluster_name", f"{skipped}([^~]+).*")
    return total(with_dots(expression), *IDENTITY)


def with_dots(expression: str) -> str:
    """The expression with dots in the label `version`. PromQL has no replacement of every occurrence."""
    for count in _UNDERSCORES:
        parts = range(1, count + 2)
        to, pattern = ".".join(f"${at}" for at in parts), "_".join("(.*)" for _ in parts)
        expression = f'label_replace({expression}, "version", "{to}", "version", "{pattern}")'
    return expression


def named_class(expression: str) -> str:
    """The expression with the label `class`: `5xx` for Envoy's `5`."""
    return f'label_replace({expression}, "class", "${{1}}xx", "{CLASS}", "(.*)")'


def _copied(expression: str, to: str, source: str, pattern: str = "(.*)") -> str:
    return f'label_replace({expression}, "{to}", "$1", "{source}", "{pattern}")'


def _split(matcher: str) -> tuple[str, str]:
    found = _MATCHER.fullmatch(matcher)
    assert found is not None
    operator, value = found[1] or "=", found[2]
    return {"~": "=~"}.get(operator, operator), value


def _check_label(metric: Metric, suffix: str, label: str) -> None:
    known = {*metric.labels, *TARGET_LABELS, *({"le"} if suffix == "_bucket" else ())}
    if label not in known:
        raise ValueError(f"{metric.name} has no label {label!r}; it has {', '.join(sorted(known))}")


def _check_value(metric: Metric, label: str, operator: str, value: str) -> None:
    known = metric.values.get(label)
    if not known or "$" in value:
        return
    fits = [one for one in known if (re.fullmatch(value, one) if "~" in operator else value == one)]
    if not fits:
        raise ValueError(f"no {label} of {metric.name} is {value!r}; there are {', '.join(known)}")
