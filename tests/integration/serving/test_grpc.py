"""A real service over gRPC: clients of other platforms work unchanged, all ways to ask give the same bits, hostile
messages cost bounded memory, and a call that runs at SIGTERM is answered."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pool, message_factory  # type: ignore[import-untyped]
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from fairlead.serving.grpc import definitions
from fairlead.serving.grpc.definitions import SERVICE, message
from integration.serving.sleeper import Sleeper
from support import clients
from support.grpc_client import elements, infer, tensor
from support.processes import free_port, wait_until
from support.service import Service

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[3]
IRIS = ROOT / "build" / "models" / "iris" / "1.1.0"
LABELS = ["versicolor", "versicolor"]
FIELDS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
MAX_MB = 350
"""The most memory that hostile messages may need beside what the service has. Sixteen of 4 MiB may arrive at once.
One of numbers becomes 64 MB when it is parsed, one at a time. With the tracebacks of refused ones it was 1,162."""


class GrpcService(Service):
    """A service with a port for gRPC."""

    def __init__(self, folder: Path, *, log: Path) -> None:
        self.grpc_port = free_port()
        super().__init__(folder, log=log, flags=["--grpc-port", str(self.grpc_port), "--drain-s", "0"])

    @property
    def address(self) -> str:
        """Where it serves gRPC."""
        return f"127.0.0.1:{self.grpc_port}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrpcService]:
    assert IRIS.exists(), "build/models/iris is missing: run ci/models"
    with GrpcService(IRIS, log=tmp_path_factory.mktemp("iris") / "log") as running:
        yield running


@pytest.fixture(scope="module")
def channel(service: GrpcService) -> Iterator[Any]:
    with grpc.insecure_channel(service.address) as opened:
        yield opened


@pytest.fixture(scope="module", params=["triton", "kserve"])
def found(request: pytest.FixtureRequest, service: GrpcService, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the client of Triton, or of KServe, returned, by situation."""
    script = HERE / "foreign_grpc_clients.py"
    done = clients.run([script, request.param, service.address, "iris"], cwd=tmp_path_factory.mktemp("clients"))
    assert done.returncode == 0, done.stderr
    return {"client": request.param, **json.loads(done.stdout)}


def test_clients_of_triton_and_kserve_get_what_they_ask_for(found: dict[str, Any]) -> None:
    facts: dict[str, Any] = {"live": True, "ready": True, "model ready": True, "version ready": True}
    facts |= {"server": "fairlead", "metadata": "iris"}
    asked = {name: answer for name, answer in found.items() if name not in ("client", "fields")}
    answered = {name: answer for name, answer in asked.items() if not isinstance(answer, dict)}
    assert answered == {name: facts.get(name, LABELS) for name in answered}
    assert len(answered) == {"triton": 13, "kserve": 5}[found["client"]]


def test_clients_of_triton_and_kserve_read_the_reason_of_an_error(found: dict[str, Any]) -> None:
    assert "body.inputs.0.shape.1: must be 4: one column per field" in found["wrong"]["raised"]
    for name in ("no model", "no version"):
        assert "is not served here" in found.get(name, {"raised": "is not served here"})["raised"]


def test_our_messages_are_those_of_the_clients(found: dict[str, Any]) -> None:
    theirs = found["fields"]
    for name in (one for method in definitions.METHODS for one in (method.input_type, method.output_type)):
        waiting = [name]
        for one in waiting:
            waiting += list(one.nested_types)
            ours = {field.name: [field.name, field.number, field.type, field.is_repeated] for field in one.fields}
            other = {field[0]: field for field in theirs[one.full_name]}
            both = ours.keys() & other.keys()
            assert {key: ours[key] for key in both} == {key: other[key] for key in both}
            assert found["client"] == "kserve" or ours.keys() <= other.keys()


def test_the_compiled_messages_are_those_of_the_proto_file(tmp_path: Path) -> None:
    compiled = tmp_path / definitions.COMPILED
    subprocess.run([ROOT / "ci/protoc", compiled], check=True, timeout=280)
    committed = ROOT / "services/fairlead/serving/grpc" / definitions.COMPILED
    assert compiled.read_bytes() == committed.read_bytes()


def ask(channel: Any, request: Any, **options: Any) -> Any:
    body = channel.unary_unary(f"/{SERVICE}/ModelInfer")(request.SerializeToString(), **options)
    return message("ModelInferResponse").FromString(body)


def test_golden_rows_get_the_same_bits_in_every_way_to_ask(service: GrpcService, channel: Any) -> None:
    rows = [json.loads(line)["input"] for line in (IRIS / "golden.jsonl").read_text().splitlines()]
    plain = service.predict(rows).json()
    wanted = [(one["label"], one["probabilities"]) for one in plain]
    v1 = service.ask("POST", "/v1/models/iris:predict", json.dumps({"instances": rows}).encode()).json()["predictions"]
    assert [(one["label"], one["probabilities"]) for one in v1] == wanted

    columns = {name: [row[name] for row in rows] for name in FIELDS}
    count = len(rows)
    inputs: list[dict[str, Any]] = [
        {"name": name, "datatype": "FP64", "shape": [count], "data": columns[name]} for name in FIELDS
    ]
    raw = [np.array(columns[name], "<f8").tobytes() for name in FIELDS]
    v2 = service.ask("POST", "/v2/models/iris/infer", json.dumps({"inputs": inputs}).encode()).json()
    assert of_v2({one["name"]: one["data"] for one in v2["outputs"]}) == wanted

    for one, part in zip(inputs, raw, strict=True):
        del one["data"]
        one["parameters"] = {"binary_data_size": len(part)}
    head = json.dumps({"inputs": inputs}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    binary = service.ask("POST", "/v2/models/iris/infer", head + b"".join(raw), headers).json()
    assert of_v2({one["name"]: one["data"] for one in binary["outputs"]}) == wanted

    typed = infer("iris", *(tensor(name, "FP64", [count], columns[name]) for name in FIELDS))
    as_bytes = infer("iris", *(tensor(name, "FP64", [count]) for name in FIELDS), raw=raw)
    for request in (typed, as_bytes):
        assert of_v2(elements(ask(channel, request))) == wanted


def of_v2(outputs: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    """Labels and probabilities, which are JSON text."""
    labels = [one if isinstance(one, str) else one.decode() for one in outputs["label"]]
    return list(zip(labels, map(json.loads, outputs["probabilities"]), strict=True))


def test_a_client_that_only_knows_reflection_gets_a_prediction(channel: Any) -> None:
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    method = pool.FindServiceByName(SERVICE).FindMethodByName("ModelInfer")
    asked, answered = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
    request = asked(model_name="iris")
    matrix = request.inputs.add(name="flowers", datatype="FP64", shape=[1, 4])
    matrix.contents.fp64_contents.extend([6.8, 2.8, 4.8, 1.4])
    body = channel.unary_unary(f"/{SERVICE}/ModelInfer")(request.SerializeToString())
    assert answered.FromString(body).outputs[0].contents.bytes_contents == [b"versicolor"]


def hostile() -> dict[str, bytes]:
    """Messages of almost 4 MiB, each with another way to need much more."""
    size = 4 * 1024 * 1024 - 100
    named = b"\x0a\x04iris"
    parameters = b"".join(b"\x1a\x06\x0a\x04" + b"%04x" % number for number in range(60_000))
    return {
        "empty inputs": named + b"\x2a\x00" * (size // 2),
        "empty raw contents": named + b"\x3a\x00" * (size // 2),
        "empty texts": infer("iris", tensor("sepal_length", "BYTES", [1], [b""] * (size // 2))).SerializeToString(),
        "small numbers": infer("iris", tensor("sepal_length", "INT64", [1], [1] * (size - 50))).SerializeToString(),
        "a long shape": infer("iris", tensor("sepal_length", "INT64", [1] * (size - 50))).SerializeToString(),
        "parameters": named + b"\x2a" + varint(len(parameters)) + parameters,
        "groups in groups": named + b"\x5b" * (size // 2),
        "a huge size": infer("iris", tensor("x", "FP64", [2**40, 2**40]), raw=[b"x" * 1000]).SerializeToString(),
        "noise": np.random.default_rng(5).bytes(size),
        "zeros": bytes(size),
    }


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def test_hostile_messages_are_refused_and_need_bounded_memory(service: GrpcService, channel: Any) -> None:
    call = channel.unary_unary(f"/{SERVICE}/ModelInfer")

    def code(body: bytes, **options: Any) -> str:
        with pytest.raises(grpc.RpcError) as raised:
            call(body, timeout=120, **options)
        return str(raised.value.code().name)

    bodies = hostile()
    before = memory_mb(service, "VmRSS")
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(code, [*bodies.values()] * 2))
        bomb = pool.submit(code, bytes(100_000_000), compression=grpc.Compression.Gzip).result()
    assert dict(zip(bodies, codes, strict=False)) == dict.fromkeys(bodies, "INVALID_ARGUMENT")
    assert bomb == "RESOURCE_EXHAUSTED"
    assert memory_mb(service, "VmHWM") - before < MAX_MB
    assert service.answers("/readyz", 200)


def memory_mb(service: Service, name: str) -> float:
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


def test_a_call_that_runs_at_sigterm_is_answered(tmp_path: Path) -> None:
    sleeper = Sleeper(tmp_path)
    with GrpcService(sleeper.folder, log=tmp_path / "log") as running, grpc.insecure_channel(running.address) as opened:
        request = infer("sleeper", tensor("seconds", "FP64", [1], [1.0]), tensor("name", "BYTES", [1], [b"last"]))
        call = opened.unary_unary(f"/{SERVICE}/ModelInfer").future(request.SerializeToString())
        wait_until(lambda: "last" in sleeper.asked(), "the model has begun")
        stopping = threading.Thread(target=running.process.stop)
        stopping.start()
        answer = message("ModelInferResponse").FromString(call.result(timeout=20))
        stopping.join()
    assert elements(answer) == {"slept": [1.0]}
