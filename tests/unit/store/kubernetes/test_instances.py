from datetime import UTC, datetime
from typing import Any

import pytest

from fairlead.contracts import labels
from fairlead.contracts.instance import Instance
from fairlead.store.kubernetes.instances import read
from fairlead.store.kubernetes.kinds import Object

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = {labels.MODEL: "iris", labels.VERSION: "1.0.0", labels.IDENTITY: "0123456789"}


def a_slice(*endpoints: Object, name: str = "s", labelled: dict[str, str] | None = None) -> Object:
    ports = [{"name": "metrics", "port": 9000}, {"name": labels.PORT_NAME, "port": 8080}]
    return {"metadata": {"name": name, "labels": labelled or LABELS}, "ports": ports, "endpoints": list(endpoints)}


def an_endpoint(pod: str, address: str = "10.0.0.1", **conditions: bool) -> Object:
    return {"addresses": [address], "conditions": conditions, "targetRef": {"name": pod}}


def a_pod(name: str, labelled: dict[str, str] | None = None, **status: Any) -> Object:
    return {"metadata": {"name": name, "labels": LABELS if labelled is None else labelled}, "status": status}


def seen(slices: tuple[Object, ...] = (), pods: tuple[Object, ...] = ()) -> list[Instance]:
    return read(slices, pods, "default", NOW)


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
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]},
            "ImagePullBackOff: no such image",
        ),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]}, "0/3 nodes"),
        ({"phase": "Pending"}, "Pending"),
        ({}, "not ready"),
    ],
)
def test_a_pod_that_cannot_be_reached_yet_says_why(status: dict[str, Any], why: str) -> None:
    (one,) = seen(pods=(a_pod("p1", **status),))
    assert (one.ready, one.reason) == (False, why)


def test_restarts_of_all_containers_are_counted() -> None:
    pod = a_pod("p1", containerStatuses=[{"restartCount": 2}, {"restartCount": 1}])
    (one,) = seen((a_slice(an_endpoint("p1", ready=True)),), (pod,))
    assert (one.restarts, one.reason) == (3, "")


def test_a_finished_pod_is_not_an_instance() -> None:
    assert seen(pods=(a_pod("p1", phase="Failed"),)) == []


@pytest.mark.parametrize("labelled", [{}, {**LABELS, labels.IDENTITY: "latest"}, {**LABELS, labels.VERSION: "V_1"}])
def test_objects_with_other_labels_are_ignored(labelled: dict[str, str]) -> None:
    assert seen((a_slice(an_endpoint("p1"), labelled=labelled or {"x": "y"}),), (a_pod("p2", labelled),)) == []


def a_crashing_pod(*, restarts: int = 3, reason: str = "CrashLoopBackOff", changed: str = "00:00:01") -> Object:
    return a_pod(
        "p1",
        startTime="2026-01-01T00:00:00Z",
        conditions=[{"type": "Ready", "status": "False", "lastTransitionTime": f"2026-01-01T{changed}Z"}],
        containerStatuses=[
            {
                "restartCount": restarts,
                "state": {"waiting": {"reason": reason, "message": "back-off 40s"}},
                "lastState": {"terminated": {"finishedAt": "2026-01-01T00:01:30Z"}},
            }
        ],
    )


def test_a_pod_that_crashed_at_every_start_has_failed_when_it_crashed_last() -> None:
    (one,) = seen(pods=(a_crashing_pod(),))
    assert (one.reason, one.failed_at) == (
        "CrashLoopBackOff: back-off 40s",
        datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "pod",
    [
        a_crashing_pod(restarts=2),
        a_crashing_pod(reason="ImagePullBackOff"),
        a_crashing_pod(reason="CreateContainerConfigError"),
        a_crashing_pod(changed="00:01:00"),  # it was ready for some time
        a_pod("p1"),
    ],
)
def test_a_pod_that_may_still_heal_has_not_failed(pod: Object) -> None:
    assert seen(pods=(pod,))[0].failed_at is None
