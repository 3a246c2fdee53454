from datetime import UTC, datetime
from typing import Any

import pytest

from fairlead.contracts import labels
from fairlead.contracts.instance import CANNOT_BE_SERVED, Instance
from fairlead.rollout.policy.unready import unready_versions
from fairlead.store.kubernetes.instances import read
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, PODS, Object

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = {labels.MODEL: "iris", labels.VERSION: "1.0.0", labels.IDENTITY: "0123456789"}


def a_slice(*endpoints: Object, name: str = "s", labelled: dict[str, str] | None = None) -> Object:
    ports = [{"name": "metrics", "port": 9000}, {"name": labels.PORT_NAME, "port": 8080}]
    return {"metadata": {"name": name, "labels": labelled or LABELS}, "ports": ports, "endpoints": list(endpoints)}


def an_endpoint(pod: str, address: str = "10.0.0.1", **conditions: bool) -> Object:
    return {"addresses": [address], "conditions": conditions, "targetRef": {"name": pod}}


def a_pod(name: str, labelled: dict[str, str] | None = None, **status: Any) -> Object:
    """A pod as the store keeps it."""
    return PODS.trim({"metadata": {"name": name, "labels": LABELS if labelled is None else labelled}, "status": status})


IN_BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}}


def a_container(
    state: Object,
    ended: Object | None = None,
    *,
    kind: str = "containerStatuses",
    name: str = "model",
    restarts: int = 0,
) -> dict[str, Any]:
    """The status of a pod with this container."""
    last = {"lastState": {"terminated": ended}} if ended is not None else {}
    return {kind: [{"name": name, "ready": False, "restartCount": restarts, "state": state, **last}]}


def seen(
    slices: tuple[Object, ...] = (), pods: tuple[Object, ...] = (), deployments: tuple[Object, ...] = ()
) -> list[Instance]:
    return read(slices, pods, deployments, "default", NOW)


def a_deployment(status: str) -> Object:
    condition = {"type": "ReplicaFailure", "status": status, "message": 'pods "iris-x" is forbidden: exceeded quota'}
    conditions = [{"type": "Available", "status": "False", "message": "another condition"}, condition]
    return DEPLOYMENTS.trim({"metadata": {"name": "iris-x", "labels": LABELS}, "status": {"conditions": conditions}})


def test_a_ready_endpoint_is_a_ready_instance_at_the_named_port() -> None:
    (one,) = seen((a_slice(an_endpoint("p1", ready=True)),))
    assert (one.id, one.host, one.port, one.ready) == ("default/iris/1.0.0/0123456789/p1", "10.0.0.1", 8080, True)


def test_an_endpoint_without_a_ready_condition_is_ready() -> None:
    assert seen((a_slice(an_endpoint("p1")),))[0].ready


def test_an_endpoint_in_two_slices_is_one_instance() -> None:
    slices = a_slice(an_endpoint("p1", ready=False)), a_slice(an_endpoint("p1", ready=True), name="t")
    assert [one.ready for one in seen(slices)] == [True]
    assert [one.ready for one in seen(slices[::-1])] == [True]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({}, "not ready"),
        ({"phase": "Pending"}, "Pending"),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]},
            "no node runs it: 0/3 nodes are available",
        ),
        (
            a_container({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
            "its container has no image (ImagePullBackOff: no such image)",
        ),
        (
            a_container({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}}),
            'its container cannot be created (CreateContainerConfigError: secret "s" not found)',
        ),
        (
            a_container({"waiting": {"reason": "ContainerCreating"}}),
            "its container is being created (ContainerCreating)",
        ),
        (
            a_container({"waiting": {"reason": "SomethingNew", "message": "of 2030"}}),
            "its container waits (SomethingNew: of 2030)",
        ),
        (
            a_container(IN_BACK_OFF, {"exitCode": 137, "reason": "OOMKilled"}, restarts=2),
            "its container needed more memory than its limit allows (OOMKilled); restarts: 2",
        ),
        (
            a_container({"running": {}}, {"exitCode": 139, "reason": "Error"}, restarts=1),
            "its container was ended by signal 11 (SIGSEGV); restarts: 1",
        ),
        (a_container({"terminated": {"exitCode": 1, "reason": "Error"}}), "its container exited with code 1"),
        (
            a_container({"terminated": {"exitCode": 1, "message": "no licence\n"}}, name="proxy"),
            "its container proxy exited with code 1: no licence",
        ),
        (
            {
                **a_container({"running": {}}),
                "conditions": [{"type": "Ready", "status": "False", "message": "[model]"}],
            },
            "its container runs and is not ready yet",
        ),
        (
            {
                **a_container({"waiting": {"reason": "PodInitializing"}}),
                "conditions": [{"type": "Initialized", "status": "False", "message": "incomplete status: [unpack]"}],
                **a_container({"running": {}}, kind="initContainerStatuses", name="unpack"),
            },
            "it is being prepared: incomplete status: [unpack]",
        ),
        (
            {
                **a_container({"waiting": {"reason": "PodInitializing"}}),
                **a_container(IN_BACK_OFF, {"exitCode": 1}, kind="initContainerStatuses", name="unpack", restarts=1),
            },
            "its container unpack exited with code 1; restarts: 1",
        ),
    ],
)
def test_a_pod_that_is_not_ready_says_why_in_one_sentence(status: dict[str, Any], why: str) -> None:
    (one,) = seen(pods=(a_pod("p1", **status),))
    assert (one.ready, one.reason) == (False, why)


def test_a_pod_that_is_being_deleted_says_so() -> None:
    pod = a_pod("p1", phase="Running")
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert seen(pods=(pod,))[0].reason == "it is being deleted"


def test_a_pod_that_is_being_deleted_is_ending_and_not_ready_although_its_slice_says_so_still() -> None:
    """The slice follows a moment later; a version that is started again must not be taken for ready by its old pod."""
    pod = a_pod("p1")
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    (one,) = seen((a_slice(an_endpoint("p1", ready=True)),), (pod,))
    assert (one.ready, one.ending, one.reason) == (False, True, "it is being deleted")
    (other,) = seen((a_slice(an_endpoint("p1", ready=True)),), (a_pod("p1"),))
    assert (other.ready, other.ending) == (True, False)


def test_a_ready_container_beside_it_is_not_named() -> None:
    ready = {"name": "proxy", "ready": True, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 2}}}
    status = a_container({"waiting": {"reason": "ContainerCreating"}})
    pod = a_pod("p1", containerStatuses=[ready, *status["containerStatuses"]])
    assert seen(pods=(pod,))[0].reason == "its container is being created (ContainerCreating)"


def test_a_version_whose_pods_cannot_be_created_says_why() -> None:
    (one,) = seen(deployments=(a_deployment("True"),))
    why = 'its pods cannot be created: pods "iris-x" is forbidden: exceeded quota'
    assert (one.ready, one.reason, one.failed_at) == (False, why, None)
    assert seen(deployments=(a_deployment("False"),)) == []


def test_a_version_with_a_pod_is_told_by_its_pods() -> None:
    found = seen(pods=(a_pod("p1", phase="Pending"),), deployments=(a_deployment("True"),))
    assert "Pending" in {one.reason for one in found}
    assert [one.why for one in unready_versions(found, None).values()] == ["Pending"]


def test_restarts_of_all_containers_are_counted() -> None:
    pod = a_pod("p1", containerStatuses=[{"restartCount": 2}, {"restartCount": 1}])
    (one,) = seen((a_slice(an_endpoint("p1", ready=True)),), (pod,))
    assert (one.restarts, one.reason) == (3, "")


def test_a_finished_pod_is_not_an_instance() -> None:
    assert seen(pods=(a_pod("p1", phase="Failed"),)) == []


@pytest.mark.parametrize("labelled", [{}, {**LABELS, labels.IDENTITY: "latest"}, {**LABELS, labels.VERSION: "V_1"}])
def test_objects_with_other_labels_are_ignored(labelled: dict[str, str]) -> None:
    assert seen((a_slice(an_endpoint("p1"), labelled=labelled or {"x": "y"}),), (a_pod("p2", labelled),)) == []


def a_crashing_pod(
    *, restarts: int = 3, reason: str = "CrashLoopBackOff", changed: str = "00:00:01", message: str = ""
) -> Object:
    ended = {"exitCode": 1, "finishedAt": "2026-01-01T00:01:30Z", "message": message}
    return a_pod(
        "p1",
        startTime="2026-01-01T00:00:00Z",
        conditions=[{"type": "Ready", "status": "False", "lastTransitionTime": f"2026-01-01T{changed}Z"}],
        **a_container({"waiting": {"reason": reason, "message": "back-off 40s"}}, ended, restarts=restarts),
    )


def test_a_pod_that_crashed_at_every_start_has_failed_when_it_crashed_last() -> None:
    (one,) = seen(pods=(a_crashing_pod(),))
    assert (one.reason, one.failed_at) == (
        "its container exited with code 1; restarts: 3",
        datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize("restarts", [0, 1, 5])
def test_a_pod_whose_model_cannot_be_served_has_failed_at_once_with_its_sentence(restarts: int) -> None:
    why = f"{CANNOT_BE_SERVED}iris 1.1.0: load failed: ValueError: boom"
    (one,) = seen(pods=(a_crashing_pod(restarts=restarts, message=why),))
    assert (one.reason, one.failed_at) == (why, datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC))


def test_it_has_still_failed_while_the_model_is_loaded_again() -> None:
    why = f"{CANNOT_BE_SERVED}iris 1.1.0: load failed: ValueError: boom"
    pod = a_crashing_pod(restarts=1, message=why)
    pod["status"]["containerStatuses"][0]["state"] = {"running": {}}
    (one,) = seen(pods=(pod,))
    assert (one.reason, one.failed_at is None) == (why, False)


@pytest.mark.parametrize(
    "pod",
    [
        a_crashing_pod(restarts=2),
        a_crashing_pod(reason="ImagePullBackOff"),
        a_crashing_pod(reason="CreateContainerConfigError"),
        a_crashing_pod(changed="00:01:00"),  # it was ready for some time
        a_crashing_pod(changed="00:01:00", message=f"{CANNOT_BE_SERVED}boom"),
        a_crashing_pod(restarts=1, message="said by another program"),
        a_pod("p1"),
    ],
)
def test_a_pod_that_may_still_heal_has_not_failed(pod: Object) -> None:
    assert seen(pods=(pod,))[0].failed_at is None
