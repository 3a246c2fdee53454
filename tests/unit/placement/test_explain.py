"""Why a pod waits for a node: each cause with its sentence, and the sentence against the rules themselves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fairlead.placement.explain import Cause, Verdict, explain
from fairlead.placement.nodes import Node, nodes_of, offers
from fairlead.placement.wishes import Requirement, Taint, Wishes, requests_of, wishes_of

GPU = "nvidia.com/gpu"
ACCELERATOR = "cloud.google.com/gke-accelerator"


def node(name: str, labels: dict[str, str] | None = None, **has: Any) -> dict[str, Any]:
    taints = has.pop("taints", [])
    allocatable = {"cpu": "8", "memory": "32Gi", "pods": "110", **has.pop("devices", {})}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": taints, **has},
        "status": {"allocatable": allocatable},
    }


def pod(limits: dict[str, str] | None = None, *, on: str = "", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "model", "resources": {"limits": limits or {}, "requests": limits or {}}}]
    return {
        "metadata": {"name": "iris"},
        "spec": {"containers": containers, **({"nodeName": on} if on else {}), **spec},
    }


def verdict(waiting: dict[str, Any], nodes: list[dict[str, Any]], pods: list[dict[str, Any]] | None = None) -> Verdict:
    return explain(wishes_of(waiting["spec"]), nodes_of(nodes, [] if pods is None else pods))


TAINTED = [{"key": GPU, "value": "present", "effect": "NoSchedule"}]
TOLERATES = [{"key": GPU, "operator": "Exists"}]


def test_a_label_that_no_node_has_is_named_with_the_values_that_there_are() -> None:
    nodes = [node("a", {ACCELERATOR: "nvidia-tesla-t4"}), node("b", {ACCELERATOR: "nvidia-tesla-t4"}), node("c")]
    found = verdict(pod(nodeSelector={ACCELERATOR: "nvidia-l4"}), nodes)
    assert found.cause is Cause.LABELS
    assert found.why == f"no node has {ACCELERATOR}=nvidia-l4; these nodes have nvidia-tesla-t4 (2)"


def test_labels_that_no_node_has_together_are_named_together() -> None:
    nodes = [node("a", {"gpu": "l4", "zone": "x"}), node("b", {"gpu": "t4", "zone": "y"})]
    found = verdict(pod(nodeSelector={"gpu": "l4", "zone": "y"}), nodes)
    assert found.why == "no node with gpu=l4 has zone=y; these nodes have x (1)"


def test_a_taint_that_the_pod_does_not_tolerate_is_named_with_the_number_of_nodes() -> None:
    found = verdict(pod(), [node("a", taints=TAINTED), node("b", taints=TAINTED)])
    assert found.cause is Cause.TAINTS
    assert (
        found.why
        == f"every node with the right labels has a taint that it does not tolerate: {GPU}=present:NoSchedule (2)"
    )


def test_a_cordoned_node_counts_as_tainted() -> None:
    found = verdict(pod(), [node("a", unschedulable=True)])
    assert "node.kubernetes.io/unschedulable:NoSchedule (1)" in found.why


def test_a_resource_that_the_nodes_do_not_have_is_named_with_those_that_they_have() -> None:
    nodes = [node("a", taints=TAINTED, devices={"nvidia.com/mig-1g.10gb": "7"})]
    found = verdict(pod({GPU: "1"}, tolerations=TOLERATES), nodes)
    assert found.cause is Cause.MISSING
    assert found.why.endswith(f"has {GPU}; these nodes have nvidia.com/mig-1g.10gb")


def test_nodes_that_are_too_small_are_told_from_nodes_that_are_full() -> None:
    nodes = [node("a", devices={GPU: "4"}), node("b", devices={GPU: "2"})]
    too_small = verdict(pod({GPU: "8"}), nodes)
    full = verdict(pod({GPU: "2"}), nodes, [pod({GPU: "3"}, on="a"), pod({GPU: "1"}, on="b")])
    assert (too_small.cause, full.cause) == (Cause.TOO_SMALL, Cause.NOT_FREE)
    assert too_small.why == (f"it asks for 8 {GPU}, and no node with the right labels and taints has more than 4 {GPU}")
    assert f"has so much free: the most is 1 {GPU}, on " in full.why


def test_pods_that_have_ended_take_nothing() -> None:
    ended = {**pod({GPU: "4"}, on="a"), "status": {"phase": "Succeeded"}}
    assert verdict(pod({GPU: "4"}), [node("a", devices={GPU: "4"})], [ended]).fits == ("a",)


def test_nodes_that_fit_are_named_also_if_what_is_free_is_not_known() -> None:
    found = explain(wishes_of(pod({GPU: "1"})["spec"]), nodes_of([node("a", devices={GPU: "4"})], None))
    assert (found.cause, found.fits) == (Cause.FITS, ("a",))
    assert "what is free on them is not known" in found.why


def test_a_pod_with_scheduling_gates_waits_for_their_owners() -> None:
    found = verdict(pod(schedulingGates=[{"name": "kueue.x-k8s.io/admission"}]), [node("a")])
    assert found.why == "it is held back by its scheduling gates: kueue.x-k8s.io/admission"


def test_the_requests_of_a_pod_are_those_of_its_containers_or_of_the_largest_init_container() -> None:
    def one(cpu: str, **more: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [one("500m", restartPolicy="Always"), one("3")],
        "containers": [one("1"), one("1")],
        "overhead": {"cpu": "250m"},
    }
    assert requests_of(spec) == {"cpu": Decimal("3.75"), "pods": 1}


def test_equal_nodes_are_one_offer_with_the_sum_of_their_devices() -> None:
    labels = {ACCELERATOR: "nvidia-l4", "other": "x"}
    nodes = nodes_of(
        [node("cpu"), *(node(name, labels, taints=TAINTED, devices={GPU: "4"}) for name in "ab")],
        [pod({GPU: "3"}, on="a")],
    )
    [found] = offers(wishes_of(pod(nodeSelector={ACCELERATOR: "x"})["spec"]), nodes)
    assert found.to_json() == {
        "nodes": ["a", "b"],
        "labels": {ACCELERATOR: "nvidia-l4"},
        "taints": [f"{GPU}=present:NoSchedule"],
        "devices": {GPU: 8},
        "free": {GPU: 5},
    }


def test_if_no_node_has_devices_every_node_is_an_offer() -> None:
    nodes = nodes_of([node("a"), node("b", taints=TAINTED)], [])
    assert [one.names for one in offers(wishes_of(pod({GPU: "1"})["spec"]), nodes)] == [("a",), ("b",)]


# every input: the sentence is about the rule that rules out all nodes which the earlier rules allow

KEYS, VALUES = ("gpu", "zone", "spot"), ("1", "2", "x")
REQUIREMENTS = st.builds(
    Requirement,
    st.sampled_from(KEYS),
    st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")),
    st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True).map(tuple),
)
TAINTS = st.builds(
    Taint,
    st.sampled_from(KEYS),
    st.sampled_from(VALUES),
    st.sampled_from(("NoSchedule", "NoExecute", "PreferNoSchedule")),
)
AMOUNTS = st.dictionaries(st.sampled_from((GPU, "cpu")), st.integers(0, 4).map(Decimal))


@st.composite
def a_node(draw: st.DrawFn) -> Node:
    has = draw(AMOUNTS)
    free = {name: amount - draw(st.integers(0, 4)) for name, amount in has.items()}
    labels = draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)))
    return Node(draw(st.uuids()).hex[:6], labels, tuple(draw(st.lists(TAINTS, max_size=2))), has, free)


WISHES = st.builds(
    Wishes,
    st.lists(st.lists(REQUIREMENTS, max_size=3).map(tuple), max_size=2).map(tuple),
    st.lists(
        st.fixed_dictionaries(
            {"key": st.sampled_from(KEYS)}, optional={"operator": st.just("Exists"), "value": st.just("1")}
        ),
        max_size=2,
    ).map(tuple),
    AMOUNTS.map(lambda found: {name: amount for name, amount in found.items() if amount}),
)


def is_labelled(wishes: Wishes, one: Node) -> bool:
    return any(all(each.allows(one.labels) for each in term) for term in wishes.alternatives)


def is_open(wishes: Wishes, one: Node) -> bool:
    return all(wishes.tolerates(taint) for taint in one.taints)


def has(wishes: Wishes, amounts: Any) -> bool:
    return all(amounts.get(name, 0) >= amount for name, amount in wishes.resources.items())


@given(WISHES, st.lists(a_node(), max_size=4))
def test_the_cause_is_the_first_rule_that_rules_out_every_node_that_is_left(wishes: Wishes, nodes: list[Node]) -> None:
    found = explain(wishes, nodes)
    labelled = [one for one in nodes if is_labelled(wishes, one)]
    reached = [one for one in labelled if is_open(wishes, one)]
    large = [one for one in reached if has(wishes, one.resources)]
    fits = [one for one in large if has(wishes, one.free)]
    expected = {
        not nodes: {Cause.NO_NODES},
        bool(nodes) and not labelled: {Cause.LABELS},
        bool(labelled) and not reached: {Cause.TAINTS},
        bool(reached) and not large: {Cause.MISSING, Cause.TOO_SMALL},
        bool(large) and not fits: {Cause.NOT_FREE},
        bool(fits): {Cause.FITS},
    }
    assert found.cause in expected[True]
    assert found.fits == tuple(one.name for one in fits)
    assert found.why
    assert found.advice
    assert "\n" not in found.why


@given(WISHES, st.lists(a_node(), max_size=4))
def test_offers_have_every_node_with_devices_once(wishes: Wishes, nodes: list[Node]) -> None:
    named = [name for one in offers(wishes, nodes) for name in one.names]
    assert len(named) == len(set(named))
    assert {one.name for one in nodes if one.resources.get(GPU)} <= set(named)


@given(st.lists(st.sampled_from(VALUES), max_size=1), REQUIREMENTS)
def test_a_requirement_and_its_opposite_never_both_hold(value: list[str], one: Requirement) -> None:
    labels = dict.fromkeys([one.key] if value else [], "".join(value))
    opposite = {"In": "NotIn", "NotIn": "In", "Exists": "DoesNotExist", "DoesNotExist": "Exists"}.get(one.operator)
    if opposite:
        assert one.allows(labels) is not Requirement(one.key, opposite, one.values).allows(labels)
    elif value in ([], ["x"]):
        assert not one.allows(labels)
