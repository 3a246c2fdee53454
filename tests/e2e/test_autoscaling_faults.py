"""What a plain HorizontalPodAutoscaler does in each fault of the table on docs/autoscaling.md. Prometheus and the
autoscaler are real; pods are only objects, and their load is made up. `make bench BENCH=autoscaling` has KEDA's faults.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from support.autoscaling import faults
from support.autoscaling.faults import MOST, NEEDED, Outcome
from support.autoscaling.loop import STABLE_S
from support.cluster.lifecycle import Cluster

Outcomes = Mapping[str, Outcome]


@pytest.fixture(scope="module")
def outcomes(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What happened, by the name of the fault."""
    return faults.with_hpa(control_plane, tmp_path_factory.mktemp("faults"))


def test_no_pod_goes_while_prometheus_does_not_answer(outcomes: Outcomes) -> None:
    outcome = outcomes["prometheus-down"]
    assert (outcome.fewest, outcome.most) == (NEEDED, NEEDED)


def test_no_pod_that_the_load_needs_goes_when_prometheus_returns_after_a_long_outage(
    outcomes: Outcomes,
) -> None:
    outcome = outcomes["long-outage"]
    assert (outcome.fewest, outcome.most) == (NEEDED, NEEDED)
    assert min(one.wanted for one in outcome.after) == NEEDED


def test_no_pod_goes_while_no_pod_is_scraped(outcomes: Outcomes) -> None:
    assert outcomes["no-pod-scraped"].fewest == NEEDED


def test_a_pod_that_is_not_scraped_costs_pods_only_after_the_stabilisation(outcomes: Outcomes) -> None:
    outcome = outcomes["one-pod-unscraped"]
    first = next(one for one in outcome.during if one.wanted < NEEDED)
    assert first.at >= STABLE_S
    assert outcome.fewest == NEEDED / 2


def test_no_pod_goes_while_rules_are_not_evaluated(outcomes: Outcomes) -> None:
    outcome = outcomes["rules-stopped"]
    assert (outcome.fewest, outcome.most) == (NEEDED, NEEDED)


def test_a_version_without_requests_is_not_held_up_by_its_latency(outcomes: Outcomes) -> None:
    outcome = outcomes["no-requests"]
    assert outcome.left == 1


def test_while_the_control_plane_does_not_answer_pods_are_added_and_none_goes(outcomes: Outcomes) -> None:
    outcome = outcomes["control-plane"]
    assert (outcome.fewest, outcome.left) == (NEEDED, MOST)


def test_no_pod_goes_while_the_adapter_is_down(outcomes: Outcomes) -> None:
    outcome = outcomes["adapter"]
    assert (outcome.fewest, outcome.most) == (NEEDED, NEEDED)
