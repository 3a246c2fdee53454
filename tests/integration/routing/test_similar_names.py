"""Models with a common name prefix: the gateway finds a model by its whole name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpx
import pytest

from fairlead.contracts.table import Table
from fairlead.routing.snapshot import Routed
from integration.routing.backends import running_backends
from integration.routing.edge import V1, an_edge, serving

MODELS = ("iris", "iris-x", "iris-xl", "i")
PATHS = ("/models/{}/predict", "/models/{}/predict?a=b", "/v1/models/{}:predict", "/v2/models/{}/infer")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway to these models, each with a service that answers with the model's name; `iris-p` is not ready."""
    folder = tmp_path_factory.mktemp("alike")
    routed = [Routed(name, 1, Table(model=name, stable=V1, pins=(V1,))) for name in MODELS]
    with running_backends() as backends, an_edge(folder) as edge:
        for name in MODELS:
            edge.endpoints["default", name, V1] = [backends.start(name).endpoint]
        with serving(edge, *routed, pending=["iris-p"]), edge.client() as made:
            yield made


@pytest.mark.parametrize("path", PATHS)
def test_each_model_is_found(client: httpx.Client, path: str) -> None:
    answers = {name: client.post(path.format(name)) for name in MODELS}
    assert {name: answer.json()["version"] for name, answer in answers.items()} == {name: name for name in MODELS}
    assert {name: answer.headers["x-route-revision"] for name, answer in answers.items()} == {
        name: f"{name}.1" for name in MODELS
    }


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["iris-", "iris-xx", "iris-xl2", "ir", "IRIS", "models"])
def test_a_name_that_only_shares_a_prefix_is_not_found(client: httpx.Client, path: str, name: str) -> None:
    answer = client.post(path.format(name))
    assert (answer.status_code, answer.json()["detail"]) == (404, "no such model or path")


@pytest.mark.parametrize("path", PATHS)
def test_a_model_that_is_not_ready_is_not_confused_with_another(client: httpx.Client, path: str) -> None:
    assert client.post(path.format("iris-p")).status_code == 503
    assert client.post(path.format("iris-p2")).status_code == 404


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v2/health/live", {}, 200),
        ("/models/iris/versions/9/predict", {}, 404),
        ("/models/iris-x/predict", {"x-model-version": "9"}, 404),
        ("/models/%69ris/predict", {}, 200),
        ("/models//iris/predict", {}, 200),
        ("/v2/../models/iris/predict", {}, 200),
    ],
)
def test_other_paths_and_normalised_paths_are_routed(
    client: httpx.Client, path: str, headers: Mapping[str, str], status: int
) -> None:
    assert client.post(path, headers=headers).status_code == status
