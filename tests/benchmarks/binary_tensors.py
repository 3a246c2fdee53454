"""Sends an image as a tensor, as JSON and in binary form: what a request costs the server, and its memory."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson
import yaml

from support import environments, onnx_files, proof
from support.processes import cpu_s
from support.service import Reply, Service

TITLE = "an image of 3 x 224 x 224 numbers as a tensor of V2: JSON and binary"
SHAPE = (3, 224, 224)
PATH = "/v2/models/channels/infer"
SIZE_HEADER = "inference-header-content-length"
TIMES, COPIES = 10.0, 2.5
"""Binary must be so many times cheaper than JSON, and need at most so many times the memory of the payload."""
SMALL = {"rounds": 3, "json": 3, "binary": 20}
PLANS: Mapping[proof.Size, Mapping[str, int]] = {"full": {"rounds": 15, "json": 6, "binary": 60}, "reduced": SMALL}
"""The number of rounds, and of the requests of each form in a round."""
IMAGES = {"json": 1, "binary": 6}
"""The images of the request whose memory is measured, in the 4 MiB that a body may have."""


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Ask a network that averages each channel, in turn in both forms."""
    found, plan = proof.Findings(), PLANS[size]
    image = np.random.default_rng(7).normal(size=(1, *SHAPE)).astype("<f4")
    bodies = {"json": as_json(image), "binary": as_binary(image)}
    environment = environments.variables(environments.packages("formats"))
    # One thread computes, so that the seconds are those of the request.
    with Service(
        model_folder(folder / "channels"), log=folder / "service.log", env={**environment, "OMP_NUM_THREADS": "1"}
    ) as service:
        seen = {form: answer(service, bodies[form], image) for form in bodies}
        cpu: dict[str, list[float]] = {form: [] for form in bodies}
        wall: dict[str, list[float]] = {form: [] for form in bodies}
        for _ in range(plan["rounds"]):
            for form, (body, headers) in bodies.items():
                began, count = cpu_s(service.process.pid), plan[form]
                for _ in range(count):
                    since = time.perf_counter()
                    service.ask("POST", PATH, body, headers)
                    wall[form].append(time.perf_counter() - since)
                cpu[form].append((cpu_s(service.process.pid) - began) / count)
        copies = {form: peak_copies(service, form) for form in bodies}
    claim(found, cpu, wall, copies)
    found.claim(
        "both forms give the network's own answer", "yes", "yes" if all(seen.values()) else "no", all(seen.values())
    )
    found.numbers = {
        "bodyBytes": {form: len(body) for form, (body, _) in bodies.items()},
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
) -> None:
    """Compare the two forms."""
    for form in cpu:
        found.note(f"{form}: CPU of the server per request, ms", f"{1000 * median(cpu[form]):.2f}")
        found.note(f"{form}: time of a request, median, ms", f"{1000 * median(wall[form]):.2f}")
    by_cpu = median(a / max(b, 1e-9) for a, b in zip(cpu["json"], cpu["binary"], strict=True))
    by_time = median(wall["json"]) / median(wall["binary"])
    found.claim("times less CPU than JSON", f"at least {TIMES:g}", f"{by_cpu:.1f}", by_cpu >= TIMES)
    found.claim("times faster than JSON", f"at least {TIMES:g}", f"{by_time:.1f}", by_time >= TIMES)
    for form, times in copies.items():
        is_held = form == "json" or times <= COPIES
        found.claim(
            f"{form}: peak memory of a request with {IMAGES[form]} in it, as a multiple of its tensor",
            f"at most {COPIES:g}" if form == "binary" else "",
            f"{times:.1f}",
            is_held,
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


def answer(service: Service, body: Body, image: np.ndarray) -> bool:
    """Whether the answer is the mean of each channel. Raises AssertionError for another status."""
    reply = _asked(service, body)
    wanted = image.mean(axis=(2, 3), dtype=np.float64).ravel()
    return bool(np.allclose(reply.json()["outputs"][0]["data"], wanted, atol=1e-4))


def peak_copies(service: Service, form: str) -> float:
    """How much the process grows for one large request, as a multiple of the tensor's bytes."""
    images = np.random.default_rng(8).normal(size=(IMAGES[form], *SHAPE)).astype("<f4")
    body = as_binary(images) if form == "binary" else as_json(images)
    grown = []
    for _ in range(5):
        Path(f"/proc/{service.process.pid}/clear_refs").write_text("5")  # the peak is that from now on
        before = _memory(service, "VmRSS")
        _asked(service, body)
        grown.append(_memory(service, "VmHWM") - before)
    # The first requests grow the heap, and the later ones use what it has: both are in what the first one needed.
    return round(max(grown) / images.nbytes, 2)


def _asked(service: Service, body: Body) -> Reply:
    reply = service.ask("POST", PATH, *body)
    assert reply.status == 200, reply.body[:300]
    return reply


def _memory(service: Service, name: str) -> int:
    """A line of /proc/PID/status in bytes."""
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    found: Any = next(line for line in lines if line.startswith(f"{name}:"))
    return int(found.split()[1]) * 1024


if __name__ == "__main__":
    proof.run("binary_tensors", TITLE, prove)
