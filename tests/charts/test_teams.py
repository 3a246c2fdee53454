"""k8s/teams: one platform for two teams renders, fits the schemas, and its files agree with each other."""

from __future__ import annotations

import pytest

from charts.schemas import OLDEST, VERSIONS, complaints
from fairlead.contracts.access import Access
from fairlead.contracts.parsing import parse_yaml
from support.teams import PLATFORM, TEAMS, namespaces, platform_values, rendered

MODELS = [one for one in rendered() if "/" in one]
LISTED = [one["name"] for one in platform_values()["namespaces"]]


@pytest.mark.parametrize("what", rendered())
def test_every_object_fits_the_schemas_of_the_oldest_and_the_newest_kubernetes(what: str) -> None:
    found = rendered()[what].objects
    assert [error for one in found for release in (OLDEST, VERSIONS[-1]) for error in complaints(one, release)] == []


def test_the_namespaces_are_those_of_the_platform_and_of_its_teams() -> None:
    assert {one["metadata"]["name"] for one in namespaces()} == {PLATFORM, *LISTED}
    assert {one.split("/")[0] for one in MODELS} == set(LISTED)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_reached_by_this_platform_only(model: str) -> None:
    [policy] = [one for one in rendered()[model].of("NetworkPolicy") if not one["metadata"]["name"].endswith(".fetch")]
    peers = [one["namespaceSelector"]["matchLabels"] for one in policy["spec"]["ingress"][0]["from"]]
    assert peers == [{"kubernetes.io/metadata.name": PLATFORM}] * 2


def test_names_of_models_are_unique_and_clients_call_models_that_are_there() -> None:
    names = [one.split("/")[1] for one in MODELS]
    assert len(names) == len(set(names)) == 2
    access = parse_yaml(Access, (TEAMS / "clients.yaml").read_text(), "clients.yaml")
    assert {model for client in access.clients.values() for model in client.models or ()} == set(names)


def test_the_page_names_every_file() -> None:
    page = (TEAMS / "README.md").read_text()
    for path in TEAMS.rglob("*.yaml"):
        assert f"`{path.relative_to(TEAMS)}`" in page
