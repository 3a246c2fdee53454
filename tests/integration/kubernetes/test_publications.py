"""The publication's ConfigMap and the gateways' pods on a real API server."""

from __future__ import annotations

import logging

import pytest

from fairlead.control.gateways import GatewayPods
from fairlead.control.publications import POLL_INTERVAL_S, ConfigMapPublications
from fairlead.errors import Conflict
from fairlead.routing.publish.publication import EncodedUpdate, Publication
from fairlead.routing.publish.resource_sets import ResourceSet, Update, UpdateOrder, make_version
from fairlead.store.kubernetes.api import Api
from support.processes import wait_until


def publication(sequence: int) -> Publication:
    content = ResourceSet.of({"models": {"name": "models"}})
    return Publication({"rds": EncodedUpdate.of(Update(make_version(UpdateOrder(sequence, "b"), content), content))})


def test_of_two_leaders_only_one_can_save_and_a_follower_sees_it(api: Api, namespace: str) -> None:
    first, second, follower = (ConfigMapPublications(api, namespace, "publication") for _ in range(3))
    assert (first.load(), second.load()) == (None, None)
    first.save(publication(1))
    with pytest.raises(Conflict):
        second.save(publication(2))
    assert second.load() == publication(1)
    before = follower.token()
    second.save(publication(2))
    with pytest.raises(Conflict):
        first.save(publication(3))
    wait_until(lambda: follower.token() != before, "the follower sees that something is new", every=POLL_INTERVAL_S)
    assert follower.load() == publication(2)


def test_a_namespace_without_gateways_has_none(api: Api, namespace: str) -> None:
    found = GatewayPods(api, namespace, "component=gateway", tail=lambda pod: b"", log=logging.getLogger("test"))
    found.list_pods()
    assert (found.loaded, found.gateways()) == (True, ())
