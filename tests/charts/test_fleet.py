"""k8s/fleet: twelve models in three environments render, fit the schemas, and show what the page says they show."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml

from charts.schemas import OLDEST, VERSIONS, complaints
from fairlead.contracts.access import Access
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.route import RouteSpec
from support.fleet import ENVIRONMENTS, FLEET, Place, all_rendered, places, script, values_of
from support.gpu_fleets import CLOUDS
from support.helm import Rendered

MODELS = [one for one in places() if not one.is_platform]
README = (FLEET / "README.md").read_text()


def route_of(found: Rendered) -> RouteSpec:
    return RouteSpec.model_validate(found.one("ModelRoute")["spec"])


def test_there_are_twelve_models_of_four_teams_in_three_environments() -> None:
    assert len(MODELS) == 36
    assert len({one.team for one in MODELS}) == 4
    assert {one.environment for one in MODELS} == set(ENVIRONMENTS)


@pytest.mark.parametrize("place", places(), ids=str)
def test_every_object_fits_the_schemas_of_the_oldest_and_the_newest_kubernetes(place: Place) -> None:
    found = all_rendered()[place].objects
    claims = any(one["kind"] == "ResourceClaimTemplate" for one in found)  # they need Kubernetes 1.34
    releases = [VERSIONS[-1]] if claims else [OLDEST, VERSIONS[-1]]
    assert [error for one in found for release in releases for error in complaints(one, release)] == []


@pytest.mark.parametrize("place", MODELS, ids=str)
def test_the_route_is_one_that_the_control_plane_reads_and_its_images_have_digests(place: Place) -> None:
    spec = route_of(all_rendered()[place])
    assert spec.target.version in spec.versions
    assert all("@sha256:" in one.image for one in spec.versions.values())


@pytest.mark.parametrize("place", MODELS, ids=str)
def test_no_name_is_longer_than_a_label_may_be(place: Place) -> None:
    for one in all_rendered()[place].objects:
        assert len(one["metadata"]["name"]) <= 63


def test_the_script_renders_the_same_objects_as_the_tests() -> None:
    text = script("render", "staging", "search/platform", "search/ranker")
    theirs = [one for one in yaml.safe_load_all(text) if one]
    ours = [
        one for name in ("platform", "ranker") for one in all_rendered()[Place("staging", f"search/{name}")].objects
    ]
    assert theirs == ours


def test_a_pod_of_every_pool_is_in_the_fleet() -> None:
    pools = {values_of(one).get("workload", {}).get("gpu", {}).get("pool", "") for one in MODELS}
    assert pools == {*CLOUDS, "custom", ""}


def shown() -> Iterator[tuple[str, str]]:
    """Each row of the table of the page: what it shows, and the path of the values that show it."""
    for line in README.partition("| what | where |")[2].split("\n\n")[0].splitlines()[2:]:
        what, where = (cell.strip() for cell in line.strip("|").split("|"))
        for path, fields in re.findall(r"`([\w/.-]+)`: ((?:`[^`]+`(?:, )?)+)", where):
            for field in re.findall(r"`([^`]+)`", fields):
                yield f"{what} {path}", field


@pytest.mark.parametrize(("what", "field"), list(shown()))
def test_what_the_page_shows_is_in_the_file_that_it_names(what: str, field: str) -> None:
    found = yaml.safe_load((FLEET / what.split()[-1]).read_text())
    for part in field.split("."):
        assert part in found, f"{what} has no {field}"
        found = found[part]


def test_the_page_has_every_kind_of_thing() -> None:
    assert len(list(shown())) >= 25


def test_the_digests_of_production_are_those_of_staging() -> None:
    for one in (each for each in MODELS if each.environment == "prod"):
        staged = route_of(all_rendered()[Place("staging", one.model)]).versions
        for name, version in route_of(all_rendered()[one]).versions.items():
            assert (version.image, version.artifact) == (staged[name].image, staged[name].artifact), f"{one} {name}"


def test_clients_of_the_team_that_asks_for_keys_can_be_read_and_name_models_that_exist() -> None:
    access = parse_yaml(Access, (FLEET / "risk/clients.yaml").read_text(), "clients.yaml")
    known = {one.name for one in MODELS if one.team == "risk"}
    assert {model for client in access.clients.values() for model in client.models or ()} <= known


def test_every_team_has_its_namespace() -> None:
    found = list(yaml.safe_load_all((FLEET / "namespaces.yaml").read_text()))
    assert {one["metadata"]["name"] for one in found} == {one.team for one in places()}
