"""What the autoscaler does in each fault of the table on docs/autoscaling.md, with KEDA and with a plain
HorizontalPodAutoscaler. Prometheus, KEDA and the autoscaler are real; pods are only objects, and their load is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from support.autoscaling import faults
from support.autoscaling.faults import MOST, NEEDED, Outcome
from support.autoscaling.loop import STABLE_S
from support.cluster import keda
from support.cluster.lifecycle import Cluster
from support.missing import skip_or_fail

Outcomes = Callable[[str], Mapping[str, Outcome]]
both = pytest.mark.parametrize("kind", ["keda", "hpa"])


@pytest.fixture(scope="module")
def outcomes(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What happened with an autoscaler of this kind, by the name of the fault. Each is played once."""
    play = {"keda": faults.with_keda, "hpa": faults.with_hpa}
    found: dict[str, Mapping[str, Outcome]] = {}

    def of(kind: str) -> Mapping[str, Outcome]:
        if kind == "keda" and (reason := keda.not_built()):
            raise skip_or_fail(reason, required_by="FAIRLEAD_REQUIRE_NODE")  # CI builds KEDA only where it runs a node
        if kind not in found:
            found[kind] = play[kind](control_plane, tmp_path_factory.mktemp(kind))
        return found[kind]

    return of


@both
def test_no_pod_goes_while_prometheus_does_not_answer(outcomes: Outcomes, kind: str) -> None:
    outcome = outcomes(kind)["prometheus-down"]
    assert (outcome.fewest, outcome.most) == (NEEDED, NEEDED)
    if kind == "keda":
        assert outcome.conditions["Fallback"] == "True"


@both
def test_no_pod_that_the_load_needs_goes_when_prometheus_returns_after_a_long_outage(
    outcomes: Outcomes, kind: str
) -> None:
    outcome = outcomes(kind)["long-outage"]
    assert (outcome.fewest, outcome.most) == (NEEDED, NEEDED)
    assert min(one.wanted for one in outcome.after) == NEEDED


@both
def test_no_pod_goes_while_no_pod_is_scraped(outcomes: Outcomes, kind: str) -> None:
    assert outcomes(kind)["no-pod-scraped"].fewest == NEEDED


@both
def test_a_pod_that_is_not_scraped_costs_pods_only_after_the_stabilisation(outcomes: Outcomes, kind: str) -> None:
    outcome = outcomes(kind)["one-pod-unscraped"]
    first = next(one for one in outcome.during if one.wanted < NEEDED)
    assert first.at >= STABLE_S
    assert outcome.fewest == NEEDED / 2


@both
def test_no_pod_goes_while_rules_are_not_evaluated(outcomes: Outcomes, kind: str) -> None:
    outcome = outcomes(kind)["rules-stopped"]
    assert (outcome.fewest, outcome.most) == (NEEDED, NEEDED)


@both
def test_a_version_without_requests_is_not_held_up_by_its_latency(outcomes: Outcomes, kind: str) -> None:
    outcome = outcomes(kind)["no-requests"]
    assert outcome.left == 1
    assert outcome.conditions.get("Fallback", "False") == "False"


@both
def test_while_the_control_plane_does_not_answer_pods_are_added_and_none_goes(outcomes: Outcomes, kind: str) -> None:
    outcome = outcomes(kind)["control-plane"]
    assert (outcome.fewest, outcome.left) == (NEEDED, MOST)


def test_while_one_of_several_triggers_fails_pods_are_added_and_none_goes(outcomes: Outcomes) -> None:
    outcome = outcomes("keda")["one-trigger"]
    assert (outcome.fewest, outcome.left) == (NEEDED, MOST)


def test_while_a_query_finds_several_series_pods_are_added_and_none_goes(outcomes: Outcomes) -> None:
    outcome = outcomes("keda")["several-series"]
    assert (outcome.fewest, outcome.left) == (NEEDED, MOST)


def test_nothing_changes_while_the_metrics_server_of_keda_is_down(outcomes: Outcomes) -> None:
    outcome = outcomes("keda")["keda-adapter"]
    assert (outcome.fewest, outcome.most) == (NEEDED, NEEDED)


def test_nothing_changes_while_the_operator_of_keda_is_down(outcomes: Outcomes) -> None:
    outcome = outcomes("keda")["keda-operator"]
    assert (outcome.fewest, outcome.most) == (NEEDED, NEEDED)


def test_no_pod_goes_while_the_adapter_is_down(outcomes: Outcomes) -> None:
    outcome = outcomes("hpa")["adapter"]
    assert (outcome.fewest, outcome.most) == (NEEDED, NEEDED)
