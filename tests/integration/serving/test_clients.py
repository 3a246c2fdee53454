"""Clients of other platforms work unchanged: those of KServe and Triton, curl as KServe's documentation writes it, and
the codecs of MLServer.

Each asks a model service directly, and through the gateway of a whole platform.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import clients
from support.platform import Platform, running_platform

HERE = Path(__file__).parent
IRIS = Path(__file__).parents[3] / "build" / "models" / "iris" / "1.1.0"
V1_NAME, V2_NAME = "sklearn-iris", "sklearn-v2-iris"
"""The names in KServe's documentation."""
LABELS = ["versicolor", "versicolor"]
V1_PAYLOAD = '{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}'
V2_PAYLOAD = (
    '{"inputs": [{"name": "input-0", "shape": [2, 4], "datatype": "FP32", '
    '"data": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}]}'
)


@dataclass(frozen=True)
class Targets:
    """The addresses of the gateway, and of the service of each model."""

    gateway: str
    services: Mapping[str, str]

    def url(self, way: str, model: str) -> str:
        """The address of a model: through the gateway, or directly."""
        return self.gateway if way == "gateway" else self.services[model]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    assert IRIS.exists(), "build/models/iris is missing: run ci/models"
    folder = tmp_path_factory.mktemp("platform")
    models = {name: model(folder / name, name) for name in (V1_NAME, V2_NAME)}
    # KServe's documentation names a host in each request, of its own domain.
    with running_platform(folder, models, hosts=["*.example.com"]) as platform:
        yield Targets(platform.url, {name: service(platform, name) for name in models})


EXPLAINING = """

class Explained(Iris):
    def explain(self, rows):
        return [{"longest": max(row.model_dump(), key=row.model_dump().get)} for row in rows]
"""


def model(folder: Path, name: str) -> dict[str, Any]:
    """A copy of iris under another name, which explains its answers, as an entry of platform.yaml."""
    shutil.copytree(IRIS, folder)
    with (folder / "model.py").open("a") as code:
        code.write(EXPLAINING)
    manifest = folder / "fairlead.yaml"
    # A profile is that of one model, so the copy has none.
    text = manifest.read_text().replace("name: iris\n", f"name: {name}\n", 1).replace("profile: profile.json\n", "")
    text = text.replace("entry: model:Iris", "entry: model:Explained")
    manifest.write_text(text)
    return {"versions": {"1.1.0": {"source": str(folder)}}, "target": "1.1.0"}


def service(platform: Platform, name: str) -> str:
    (instance,) = [one for one in platform.store.instances() if one.model == name]
    return f"http://{instance.host}:{instance.port}"


@pytest.fixture(scope="module", params=["gateway", "service"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def found(way: str, targets: Targets, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the clients of Triton and KServe returned, by situation."""
    script = HERE / "foreign_clients.py"
    done = clients.run([script, targets.url(way, V1_NAME), V1_NAME], cwd=tmp_path_factory.mktemp("clients"))
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


TRUE = [f"triton {what}" for what in ("live", "ready", "ready with a query", "model ready", "version ready")]
TRUE += [f"kserve {what}" for what in ("v1 live", "v1 model ready", "v2 live", "v2 ready", "v2 model ready")]
INFER = ["columns", "columns of FP32", "matrix", "outputs", "binary outputs", "a version", "gzip", "deflate"]
INFER += ["gzip back", "sequence", "async", "binary", "binary and JSON", "binary and gzip"]


@pytest.mark.parametrize("situation", TRUE)
def test_a_client_finds_the_server_and_the_model_live_and_ready(found: dict[str, Any], situation: str) -> None:
    assert found[situation] is True


@pytest.mark.parametrize("situation", [*(f"triton {what}" for what in INFER), "kserve v2 infer", "kserve v2 binary"])
def test_a_client_gets_its_predictions(found: dict[str, Any], situation: str) -> None:
    assert found[situation] == LABELS


def test_the_client_of_kserve_v1_gets_its_predictions(found: dict[str, Any]) -> None:
    assert [one["label"] for one in found["kserve v1 infer"]["predictions"]] == LABELS


def test_the_client_of_kserve_v1_gets_its_explanations(found: dict[str, Any]) -> None:
    assert found["kserve v1 explain"] == {"explanations": [{"longest": "sepal_length"}] * 2}


def test_a_field_that_is_an_object_reaches_the_client_of_triton_as_json(found: dict[str, Any]) -> None:
    assert sum(found["triton json field"].values()) == pytest.approx(1.0)


def test_the_client_of_triton_reads_metadata_configuration_statistics_and_index(found: dict[str, Any]) -> None:
    assert found["triton server"]["name"] == "fairlead"
    assert len(found["triton metadata"]["inputs"]) == len(found["triton config"]["input"]) == 4
    (stats,) = found["triton stats"]["model_stats"]
    assert (stats["name"], stats["version"]) == (V1_NAME, "1.1.0")
    assert {"name": V1_NAME, "version": "1.1.0", "state": "READY", "reason": ""} in found["triton index"]


@pytest.mark.parametrize(
    ("situation", "text"),
    [
        ("triton wrong", "body.inputs.0.shape.1: must be 4: one column per field"),
        ("triton no model", "no"),
        ("triton no version", "version"),
        ("triton load", "path"),
        ("kserve v1 wrong", "body.instances.0: a row must be an object such as"),
        ("kserve v1 no model", "no"),
        ("kserve v2 wrong", "body.inputs.0.shape.1: must be 4: one column per field"),
        ("kserve v2 no model", "no"),
    ],
)
def test_a_client_reads_the_reason_of_an_error(found: dict[str, Any], situation: str, text: str) -> None:
    raised = found[situation]["raised"]
    assert text in raised
    assert "an exception occurred in the client" not in raised, "the client of Triton found no member 'error'"
    assert not raised.startswith("HTTPStatusError: ,"), "the client of KServe found no member 'error'"


@pytest.fixture(scope="module")
def decoded(way: str, targets: Targets, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the codecs of MLServer made of the answers, by situation."""
    script, folder = HERE / "foreign_codecs.py", tmp_path_factory.mktemp("codecs")
    done = clients.run([script, targets.url(way, V2_NAME), V2_NAME], cwd=folder, environment="mlserver")
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


CODECS = ["NumpyCodec", "NumpyCodec of FP32", "NumpyRequestCodec", "PandasCodec", "PandasCodec without bytes"]


@pytest.mark.parametrize("situation", [*CODECS, "the answer as a frame"])
def test_what_a_codec_of_mlserver_encodes_is_predicted_and_decoded(decoded: dict[str, Any], situation: str) -> None:
    assert decoded[situation] == LABELS


def test_the_types_of_mlserver_read_ids_requested_outputs_and_metadata(decoded: dict[str, Any]) -> None:
    assert decoded["an id"] == "7"
    assert decoded["one output"] == ["label"]
    assert decoded["metadata"] == ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def test_a_frame_with_a_column_too_few_is_refused_by_the_name_of_the_column(decoded: dict[str, Any]) -> None:
    assert decoded["a column too few"]["raised"].startswith("422: ")
    assert "input 'petal_width' is missing" in decoded["a column too few"]["raised"]


CURL = {
    "v1, as documented": (
        'curl -v -H "Host: ${SERVICE_HOSTNAME}" -H "Content-Type: application/json" '
        f'"http://${{INGRESS_HOST}}:${{INGRESS_PORT}}/v1/models/{V1_NAME}:predict" -d @./iris-input.json'
    ),
    "v1, without a header": (
        f'curl "http://${{INGRESS_HOST}}:${{INGRESS_PORT}}/v1/models/{V1_NAME}:predict" -d @./iris-input.json'
    ),
    "v2, as documented": (
        'curl -v -H "Host: ${SERVICE_HOSTNAME}" -H "Content-Type: application/json" -d @./iris-input-v2.json '
        f"http://${{INGRESS_HOST}}:${{INGRESS_PORT}}/v2/models/{V2_NAME}/infer"
    ),
    "v2, without a header": (
        f"curl -d @./iris-input-v2.json http://${{INGRESS_HOST}}:${{INGRESS_PORT}}/v2/models/{V2_NAME}/infer"
    ),
}


@pytest.mark.parametrize("name", CURL)
def test_the_curl_lines_of_kserves_documentation_get_predictions(
    targets: Targets, way: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "iris-input.json").write_text(V1_PAYLOAD)
    (tmp_path / "iris-input-v2.json").write_text(V2_PAYLOAD)
    host, _, port = targets.url(way, V1_NAME if name[:2] == "v1" else V2_NAME).removeprefix("http://").partition(":")
    env = {**os.environ, "INGRESS_HOST": host, "INGRESS_PORT": port, "SERVICE_HOSTNAME": "sklearn-iris.example.com"}
    done = subprocess.run(
        ["bash", "-c", CURL[name]], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30, check=True
    )
    answer = json.loads(done.stdout)
    if name.startswith("v1"):
        assert [one["label"] for one in answer["predictions"]] == LABELS
    else:
        assert answer["outputs"][0]["data"] == LABELS
