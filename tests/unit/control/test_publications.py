"""The publication in a ConfigMap, with a simulated API server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from fairlead.control.publications import POLL_INTERVAL_S, ConfigMapPublications
from fairlead.errors import Conflict, Invalid, NotFound, Refused, Unavailable
from fairlead.routing.publish.publication import EncodedUpdate, Publication
from fairlead.routing.publish.resource_sets import ResourceSet, Update, UpdateOrder, make_version


class OneNamespace:
    """One object with resource versions, preconditions and 404, as in an API server."""

    def __init__(self) -> None:
        self.found: dict[str, Any] | None = None
        self.version = 0
        self.requests: list[tuple[str, str]] = []
        self.reachable = True

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
        accept: str = "application/json",
    ) -> dict[str, Any]:
        self.requests.append((method, path))
        if not self.reachable:
            raise Unavailable("no answer")
        if method == "GET":
            if self.found is None:
                raise NotFound("no such ConfigMap")
            return self.found if "Partial" not in accept else {"metadata": self.found["metadata"]}
        assert body is not None
        if method == "POST" and self.found is not None:
            raise Conflict("exists")
        if method == "PUT":
            if self.found is None:
                raise NotFound("no such ConfigMap")
            if body["metadata"].get("resourceVersion") != str(self.version):
                raise Conflict("the object has been modified")
        self.version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.found = json.loads(json.dumps({**body, "metadata": metadata}))
        return self.found


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def publication(sequence: int, noise: str = "") -> Publication:
    content = ResourceSet.of({"models": {"name": "models", "noise": noise}})
    return Publication({"rds": EncodedUpdate.of(Update(make_version(UpdateOrder(sequence, "b"), content), content))})


@pytest.fixture
def api() -> OneNamespace:
    return OneNamespace()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def replica(api: OneNamespace, clock: Clock) -> ConfigMapPublications:
    return ConfigMapPublications(api, "ml", "p", metadata=lambda: {"labels": {"a": "b"}}, monotonic=clock)


def test_what_one_replica_saves_another_loads(api: OneNamespace, clock: Clock) -> None:
    leader, follower = replica(api, clock), replica(api, clock)
    assert leader.load() is None
    leader.save(publication(1))
    leader.save(publication(2))
    assert follower.load() == publication(2)
    assert api.found is not None
    assert api.found["metadata"]["labels"] == {"a": "b"}


def test_of_two_leaders_only_one_can_save(api: OneNamespace, clock: Clock) -> None:
    first, second = replica(api, clock), replica(api, clock)
    first.load(), second.load()
    first.save(publication(1))
    with pytest.raises(Conflict):
        second.save(publication(2))
    second.load()
    second.save(publication(2))
    with pytest.raises(Conflict):
        first.save(publication(3))


def test_after_a_deletion_saving_conflicts_and_then_creates_it_again(api: OneNamespace, clock: Clock) -> None:
    leader = replica(api, clock)
    leader.load()
    leader.save(publication(1))
    api.found = None
    with pytest.raises(Conflict, match="deleted"):
        leader.save(publication(2))
    assert leader.load() is None
    leader.save(publication(2))


def test_followers_poll_the_version_at_intervals(api: OneNamespace, clock: Clock) -> None:
    leader, follower = replica(api, clock), replica(api, clock)
    leader.load()
    leader.save(publication(1))
    clock.now = 1.0
    first = follower.token()
    asked = len(api.requests)
    assert follower.token() == first
    assert len(api.requests) == asked
    leader.save(publication(2))
    clock.now += 2 * POLL_INTERVAL_S
    assert follower.token() != first


def test_while_the_api_server_does_not_answer_the_last_token_stays(api: OneNamespace, clock: Clock) -> None:
    leader = replica(api, clock)
    leader.load()
    leader.save(publication(1))
    clock.now = 1.0
    token = leader.token()
    api.reachable = False
    clock.now = 2.0
    assert leader.token() == token
    with pytest.raises(Unavailable):
        leader.load()


def test_a_publication_that_is_too_large_is_refused_with_a_reason(api: OneNamespace, clock: Clock) -> None:
    leader = replica(api, clock)
    leader.load()
    noise = "".join(chr(33 + (n * n * 7919) % 90) for n in range(3_000_000))
    with pytest.raises(Refused, match="1 MiB"):
        leader.save(publication(1, noise + "".join(map(str, range(700_000)))))
    assert api.found is None


@pytest.mark.parametrize("data", [{"head": "!"}, {"head": "e30="}, {"head": 7}])
def test_a_configmap_that_is_not_a_publication_is_invalid(
    api: OneNamespace, clock: Clock, data: dict[str, Any]
) -> None:
    api.found = {"metadata": {"name": "p", "resourceVersion": "4"}, "binaryData": data}
    with pytest.raises(Invalid):
        replica(api, clock).load()
