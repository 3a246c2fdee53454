"""Which quota is used up and by how much, from what the API server says of a pod that it refuses."""

from __future__ import annotations

from fairlead.contracts.instance import CANNOT_BE_CREATED
from fairlead.contracts.route import VersionRef
from fairlead.rollout.policy.unready import missing_instances
from fairlead.store.kubernetes.instances import read
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, Object
from fairlead.store.kubernetes.pods import used_up
from unit.store.builders import NOW
from unit.store.kubernetes.test_instances import LABELS, a_slice, an_endpoint

SAID = (
    'pods "iris-0123456789-6d4b-x2x5k" is forbidden: exceeded quota: fairlead-quota.serving, '
    "requested: pods=1,requests.nvidia.com/gpu=2, used: pods=4,requests.nvidia.com/gpu=7, "
    "limited: pods=4,requests.nvidia.com/gpu=8"
)
WORDS = (
    "the ResourceQuota fairlead-quota.serving is used up (pods: 4 of 4 is used, and a pod asks for 1 more; "
    "requests.nvidia.com/gpu: 7 of 8 is used, and a pod asks for 2 more)"
)


def test_the_quota_and_its_amounts_are_named() -> None:
    assert used_up(SAID) == WORDS


def test_another_refusal_is_no_quota() -> None:
    assert used_up('pods "iris-x" is forbidden: violates PodSecurity "restricted:latest"') == ""


def a_refused(message: str) -> Object:
    condition = {"type": "ReplicaFailure", "status": "True", "message": message}
    return DEPLOYMENTS.trim({"metadata": {"name": "iris-x", "labels": LABELS}, "status": {"conditions": [condition]}})


def test_a_version_with_some_of_its_pods_says_why_it_does_not_have_all() -> None:
    found = read((a_slice(an_endpoint("p1", ready=True)),), (), (a_refused(SAID),), "default", NOW)
    assert [(one.ready, one.reason) for one in found] == [(False, f"{CANNOT_BE_CREATED}: {WORDS}"), (True, "")]
    ref = VersionRef(version="1.0.0", identity="0123456789")
    assert missing_instances(found) == {ref: f"{CANNOT_BE_CREATED}: {WORDS}"}


def test_a_pod_that_only_starts_is_not_missing() -> None:
    found = read((a_slice(an_endpoint("p1", ready=False), an_endpoint("p2", ready=True)),), (), (), "default", NOW)
    assert missing_instances(found) == {}
