"""The API that an autoscaler asks how many instances the rollout wants of a version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.control.api import build_api
from fairlead.store.sqlite import SqliteStore
from unit.control.test_api import NOW, Client, FakeLoop

VERSIONS = {version: VersionSpec(source=version) for version in ("1.0.0", "1.1.0")}
V1, V2 = (spec.ref(version) for version, spec in VERSIONS.items())


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(tmp_path / "ledger.db")
    store.put_route(
        "iris", RouteSpec(model="iris", versions=VERSIONS, target=Target(version="1.0.0")), now=NOW, actor="test"
    )
    return store


@pytest.fixture
def client(store: SqliteStore) -> Client:
    return Client(build_api(store, FakeLoop()))


def write(store: SqliteStore, *wanted: dict[str, Any]) -> None:
    store.set_status("iris", {"route": "iris", "observedGeneration": 1, "wanted": list(wanted)})


def entry(version: str, identity: str, instances: int) -> dict[str, Any]:
    return {"ref": {"version": version, "identity": identity}, "instances": instances, "reason": "it serves"}


@pytest.mark.parametrize("name", ["1.0.0", V1.identity])
def test_a_version_is_asked_for_by_its_name_or_its_identity(store: SqliteStore, client: Client, name: str) -> None:
    write(store, entry("1.0.0", V1.identity, 3), entry("1.1.0", V2.identity, 0))
    assert client.get(f"/models/iris/versions/{name}/wanted").json() == {
        "model": "iris",
        "version": "1.0.0",
        "identity": V1.identity,
        "wanted": 3,
        "reason": "it serves",
    }


def test_two_images_under_one_name_get_the_higher_number(store: SqliteStore, client: Client) -> None:
    write(store, entry("1.0.0", V1.identity, 1), entry("1.0.0", "0123456789", 2))
    assert client.get("/models/iris/versions/1.0.0/wanted").json()["wanted"] == 2


def test_the_path_of_earlier_releases_has_the_same_number(store: SqliteStore, client: Client) -> None:
    write(store, entry("1.0.0", V1.identity, 3))
    assert client.get("/api/v1/wanted/iris/1.0.0").json()["wanted"] == 3


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/models/wine/versions/1.0.0/wanted", 404, "there is no model 'wine'"),
        ("/models/iris/versions/2.0.0/wanted", 404, "model 'iris' has no version '2.0.0'; it has: 1.0.0, 1.1.0"),
        ("/models/iris/versions/1.0.0/wanted", 503, "has not decided yet how many instances iris 1.0.0 needs"),
    ],
)
def test_without_a_number_there_is_a_sentence(client: Client, path: str, status: int, sentence: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]


def test_what_a_gateway_forwards_is_explained_and_learns_no_number(store: SqliteStore, client: Client) -> None:
    write(store, entry("1.0.0", V1.identity, 3))
    answer = client.get("/models/iris/versions/1.0.0/wanted", headers={"x-route-explain": "1"})
    assert (answer.status_code, "wanted" in answer.json()) == (404, False)
