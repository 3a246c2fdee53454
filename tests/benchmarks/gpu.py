"""A ResNet-18 on a GPU: what batches of several requests save, a call that finds no memory, two versions on one device.

Without a GPU, or without PyTorch (`make torch` installs it), it says so, measures nothing and exits with 0.
"""

from __future__ import annotations

import http.client
import importlib
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import orjson

from fairlead.serving.formats.writer import write_folder
from support import environments, proof
from support.formats import resnet_code
from support.service import HOST, Service

TITLE = "ResNet-18 on a GPU: batches, a call that finds no memory, two versions on one device"
TIMES = 3.0
"""Batches must answer so many times the requests of single calls, at no higher p95."""
CALLERS = (1, 2, 4, 8, 16, 32, 64, 128)
LOADING_S = 240.0
SHARES = {"SHARE_OF_GPU": "0.02"}
"""The share of the GPU's memory that the service gets whose calls are to find none."""
PLANS: Mapping[proof.Size, float] = {"full": 5.0, "reduced": 1.0}
"""The seconds of each load."""
IMAGE = np.random.default_rng(7).normal(size=(1, 3, 224, 224)).astype("<f4")


class Load(NamedTuple):
    """The requests that were answered in a second, the 95th percentile of their seconds, and those that failed."""

    rate: float
    p95_s: float
    failed: int


def measure(size: proof.Size, folder: Path) -> proof.Findings:
    """Load services of the same network in turn."""
    found, seconds = proof.Findings(), PLANS[size]
    single, several = model_folder(folder, "1.0.0", 1), model_folder(folder, "2.0.0", 64)
    curves: dict[str, dict[int, Load]] = {}
    for name, served in (("single", single), ("several", several)):
        with running(served, folder) as service:
            curves[name] = {callers: load(service, callers, seconds) for callers in CALLERS}
    limit_s = curves["single"][8].p95_s
    rates = {
        name: max((one.rate for one in curve.values() if one.p95_s <= limit_s), default=0.0)
        for name, curve in curves.items()
    }
    times = rates["several"] / rates["single"] if rates["single"] else 0.0
    found.claim(
        f"requests a second with batches, times those without, p95 at most {limit_s * 1000:.0f} ms",
        f">= {TIMES:g}",
        f"{times:.1f}",
        times >= TIMES,
    )
    with running(model_folder(folder, "3.0.0", 256), folder, SHARES) as service:
        status, rows = ask(connect(service), np.repeat(IMAGE, 256, axis=0))
        halved = service.metric("fairlead_model_out_of_memory_total", outcome="halved")
        after = load(service, 32, seconds)
    found.claim("answers to 256 images that do not fit in one call", "256", rows, status == 200 and rows == 256)
    found.claim("calls that found no memory and were halved", ">= 1", f"{halved:g}", halved >= 1)
    found.claim("requests that failed after it", "0", after.failed, after.failed == 0)
    with running(single, folder) as one, running(several, folder) as other, ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda service: load(service, 8, seconds), (one, other)))
    failed = sum(one.failed for one in both)
    found.claim("requests that failed with two versions on one device", "0", failed, failed == 0)
    found.numbers = {"curves": curves, "rates": rates, "halved": halved, "two versions": both}
    return found


def model_folder(folder: Path, version: str, max_rows: int) -> Path:
    """A folder with the network and random weights, whose calls have at most so many rows."""
    torch = importlib.import_module("torch")
    code = folder / "net.py"
    code.write_text(resnet_code.with_share_of_gpu())
    torch.manual_seed(0)
    weights = folder / "weights.pt"
    torch.save(resnet_code.network().state_dict(), weights)
    manifest: dict[str, Any] = {
        "name": "resnet",
        "version": version,
        "format": "torch-state-dict",
        "entry": "net:network",
        "inputs": [{"name": "photo", "datatype": "FP32", "shape": [-1, 3, 224, 224]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 10]}],
        "batching": {"max_rows": max_rows},
        # A GPU convolves in TF32, and otherwise for each size of a batch.
        "rtol": 0.01,
        "atol": 0.05,
    }
    write_folder(folder / version, manifest, weights, code=[code])
    return folder / version


def running(served: Path, folder: Path, more: Mapping[str, str] | None = None) -> Service:
    """A service on the GPU, which is ready within the block."""
    env = {**environments.variables(environments.packages("torch")), "FAIRLEAD_SERVING_DEVICE": "cuda", **(more or {})}
    env |= {"FAIRLEAD_SERVING_MAX_BODY_BYTES": str(2**28), "FAIRLEAD_SERVING_QUEUE_BYTES": str(2**30)}
    return Patient(served, log=folder / f"{served.name}.log", env=env)


class Patient(Service):
    """A service that imports PyTorch before it is ready."""

    def __enter__(self) -> Self:
        return self.start(within=LOADING_S)


def connect(service: Service) -> http.client.HTTPConnection:
    """A connection to it."""
    return http.client.HTTPConnection(HOST, service.port, timeout=60)


def ask(connection: http.client.HTTPConnection, images: np.ndarray) -> tuple[int, int]:
    """The status, and how many rows were answered."""
    raw = images.tobytes()
    one = {"name": "photo", "datatype": "FP32", "shape": list(images.shape)}
    head = orjson.dumps({"inputs": [{**one, "parameters": {"binary_data_size": len(raw)}}]})
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    connection.request("POST", "/v2/models/resnet/infer", head + raw, headers)
    response = connection.getresponse()
    body = response.read()
    return response.status, orjson.loads(body)["outputs"][0]["shape"][0] if response.status == 200 else 0


def load(service: Service, callers: int, seconds: float) -> Load:
    """So many callers, each with one request at a time, for some seconds; the first tenth is not counted."""
    begin = time.monotonic() + seconds / 10
    end = begin + seconds
    took: list[float] = []
    failed: list[int] = []

    def call() -> None:
        connection = connect(service)
        while (sent := time.monotonic()) < end:
            status, _ = ask(connection, IMAGE)
            if status != 200:
                failed.append(status)
            elif sent >= begin:
                took.append(time.monotonic() - sent)
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(len(took) / seconds, float(np.quantile(took, 0.95)) if took else float("inf"), len(failed))


def missing() -> str:
    """Why there is nothing to measure here; empty if there is something."""
    if shutil.which("nvidia-smi") is None:
        return "this machine has no GPU of NVIDIA"
    environments.add(environments.packages("torch"))
    torch = importlib.import_module("torch")
    return "" if torch.cuda.is_available() else f"PyTorch {torch.__version__} finds no GPU"


if __name__ == "__main__":
    if reason := missing():
        print(f"gpu: not run: {reason}")
        sys.exit(0)
    proof.run("gpu", TITLE, measure)
