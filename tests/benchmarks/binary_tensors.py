"""Sends an image as a tensor as JSON, in binary form and over gRPC: what a request costs the server, and its memory."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import numpy as np
import orjson
import yaml

from fairlead.serving.grpc.definitions import SERVICE, message
from support import environments, onnx_files, proof
from support.grpc_client import elements, infer, tensor
from support.processes import cpu_s, free_port
from support.service import Service

TITLE = "an image of 3 x 224 x 224 numbers as a tensor of V2: JSON, binary and gRPC"
SHAPE = (3, 224, 224)
PATH = "/v2/models/channels/infer"
SIZE_HEADER = "inference-header-content-length"
TIMES: Mapping[str, float] = {"binary": 10.0, "grpc": 8.0}
COPIES: Mapping[proof.Size, float] = {"full": 2.5, "reduced": 3.0}
"""Each form must be so many times cheaper than JSON, and need at most so many times the memory of the payload. After
few requests glibc's heap keeps some of what they left: the same code needs 2.1 or 2.8 from one start to the next."""
SMALL = {"rounds": 3, "json": 3, "binary": 20, "grpc": 20}
PLANS: Mapping[proof.Size, Mapping[str, int]] = {
    "full": {"rounds": 15, "json": 6, "binary": 60, "grpc": 60},
    "reduced": SMALL,
}
"""The number of rounds, and of the requests of each form in a round."""
IMAGES = {"json": 1, "binary": 6, "grpc": 6}
"""The images of the request whose memory is measured, in the 4 MiB that a body may have."""


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Ask a network that averages each channel, in turn in all forms."""
    found, plan = proof.Findings(), PLANS[size]
    image = np.random.default_rng(7).normal(size=(1, *SHAPE)).astype("<f4")
    environment = environments.variables(environments.packages("formats"))
    port = free_port()
    # One thread computes, so that the seconds are those of the request.
    with (
        Service(
            model_folder(folder / "channels"),
            log=folder / "service.log",
            flags=["--grpc-port", str(port)],
            env={**environment, "OMP_NUM_THREADS": "1"},
        ) as service,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        asks = ways(service, channel, image)
        seen = {form: is_mean(ask(), image) for form, ask in asks.items()}
        cpu: dict[str, list[float]] = {form: [] for form in asks}
        wall: dict[str, list[float]] = {form: [] for form in asks}
        for _ in range(plan["rounds"]):
            for form, ask in asks.items():
                began, count = cpu_s(service.process.pid), plan[form]
                for _ in range(count):
                    since = time.perf_counter()
                    ask()
                    wall[form].append(time.perf_counter() - since)
                cpu[form].append((cpu_s(service.process.pid) - began) / count)
        copies = {form: peak_copies(service, channel, form) for form in asks}
    claim(found, cpu, wall, copies, most=COPIES[size])
    found.claim(
        "all forms give the network's own answer", "yes", "yes" if all(seen.values()) else "no", all(seen.values())
    )
    found.numbers = {
        "cpuMs": {form: [round(1000 * one, 3) for one in values] for form, values in cpu.items()},
        "wallMs": {form: round(1000 * median(values), 3) for form, values in wall.items()},
        "copies": copies,
    }
    return found


def claim(
    found: proof.Findings,
    cpu: Mapping[str, list[float]],
    wall: Mapping[str, list[float]],
    copies: Mapping[str, float],
    most: float,
) -> None:
    """Compare the forms with JSON. `most` is how often the tensor's bytes may be in memory."""
    for form in cpu:
        found.note(f"{form}: CPU of the server per request, ms", f"{1000 * median(cpu[form]):.2f}")
        found.note(f"{form}: time of a request, median, ms", f"{1000 * median(wall[form]):.2f}")
    for form, times in TIMES.items():
        by_cpu = median(a / max(b, 1e-9) for a, b in zip(cpu["json"], cpu[form], strict=True))
        by_time = median(wall["json"]) / median(wall[form])
        found.claim(f"{form}: times less CPU than JSON", f"at least {times:g}", f"{by_cpu:.1f}", by_cpu >= times)
        found.claim(f"{form}: times faster than JSON", f"at least {times:g}", f"{by_time:.1f}", by_time >= times)
    for form, multiple in copies.items():
        found.claim(
            f"{form}: peak memory of a request with {IMAGES[form]} in it, as a multiple of its tensor",
            f"at most {most:g}" if form in TIMES else "",
            f"{multiple:.1f}",
            form not in TIMES or multiple <= most,
        )


def model_folder(folder: Path) -> Path:
    """A network without weights: the mean of each channel."""
    folder.mkdir()
    x, y = ("N", *SHAPE), ("N", SHAPE[0])
    nodes = [node("GlobalAveragePool", "image", "pooled"), node("Flatten", "pooled", "means")]
    graph = onnx_files.model([onnx_files.value("image", x)], [onnx_files.value("means", y)], nodes=nodes)
    (folder / "channels.onnx").write_bytes(graph)
    manifest = {
        "name": "channels",
        "version": "1.0.0",
        "format": "onnx",
        "artifact": {"path": "channels.onnx", "sha256": hashlib.sha256(graph).hexdigest()},
    }
    (folder / "fairlead.yaml").write_text(yaml.safe_dump(manifest))
    return folder


def node(kind: str, source: str, target: str) -> bytes:
    """An operator with one input and one output."""
    return onnx_files.field(1, source) + onnx_files.field(2, target) + onnx_files.field(4, kind)


Body = tuple[bytes, dict[str, str]]
"""A request's body and its headers."""


def as_json(images: np.ndarray) -> Body:
    """The request as JSON, with the fewest digits that a float32 needs."""
    tensor = {"name": "image", "datatype": "FP32", "shape": list(images.shape), "data": images}
    return orjson.dumps({"inputs": [tensor]}, option=orjson.OPT_SERIALIZE_NUMPY), {}


def as_binary(images: np.ndarray) -> Body:
    """The request with the tensor after its JSON."""
    tensor = {"name": "image", "datatype": "FP32", "shape": list(images.shape)}
    head = orjson.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": images.nbytes}}]})
    return head + images.tobytes(), {SIZE_HEADER: str(len(head)), "content-type": "application/octet-stream"}


Ask = Callable[[], list[float]]
"""Sends a request, and returns the numbers of its answer."""


def ways(service: Service, channel: Any, images: np.ndarray) -> dict[str, Ask]:
    """A request with these images in each form. The bytes that are sent are made once."""

    def over_http(body: bytes, headers: Mapping[str, str]) -> list[float]:
        reply = service.ask("POST", PATH, body, headers)
        assert reply.status == 200, reply.body[:300]
        found: list[float] = reply.json()["outputs"][0]["data"]
        return found

    request = infer("channels", tensor("image", "FP32", list(images.shape)), raw=[images.tobytes()])
    body, call = request.SerializeToString(), channel.unary_unary(f"/{SERVICE}/ModelInfer")
    as_text, binary = as_json(images), as_binary(images)
    return {
        "json": lambda: over_http(*as_text),
        "binary": lambda: over_http(*binary),
        "grpc": lambda: elements(message("ModelInferResponse").FromString(call(body)))["means"],
    }


def is_mean(answer: list[float], image: np.ndarray) -> bool:
    """Whether the answer is the mean of each channel."""
    return bool(np.allclose(answer, image.mean(axis=(2, 3), dtype=np.float64).ravel(), atol=1e-4))


def peak_copies(service: Service, channel: Any, form: str) -> float:
    """How much the process grows for one large request, as a multiple of the tensor's bytes."""
    images = np.random.default_rng(8).normal(size=(IMAGES[form], *SHAPE)).astype("<f4")
    ask = ways(service, channel, images)[form]
    grown = []
    for _ in range(5):
        Path(f"/proc/{service.process.pid}/clear_refs").write_text("5")  # the peak is that from now on
        before = _memory(service, "VmRSS")
        ask()
        grown.append(_memory(service, "VmHWM") - before)
    # The first requests grow the heap, and the later ones use what it has: both are in what the first one needed.
    return round(max(grown) / images.nbytes, 2)


def _memory(service: Service, name: str) -> int:
    """A line of /proc/PID/status in bytes."""
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    found: Any = next(line for line in lines if line.startswith(f"{name}:"))
    return int(found.split()[1]) * 1024


if __name__ == "__main__":
    proof.run("binary_tensors", TITLE, prove)
