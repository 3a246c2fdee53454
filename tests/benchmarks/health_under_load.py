"""Measures how fast /livez and /metrics answer while a service is busy: with a model that sleeps, and with images.

Once 32 clients wait for a model that takes a second for each batch; once images of 20 MB are decoded, one after the
other, in each form in which they come. Both paths are asked 20 times a second, by a process of its own.
"""

from __future__ import annotations

import importlib
import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import PIL.Image

from integration.serving.sleeper import Sleeper
from support import environments, proof
from support.image_files import file, text
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Always, encode
from support.load.summary import Summary
from support.processes import memory_mib
from support.service import HOST, Service

TITLE = "probes and metrics of a service that is busy"
PATHS = ("/livez", "/metrics")
RATE = 20
CLIENTS, UPLOADERS = 32, 2
SLEEP_S = 1.0
SIDE, IMAGE_BYTES = 2582, 20_000_000
Request = tuple[str, bytes, dict[str, str]]


@dataclass(frozen=True)
class Plan:
    """The seconds of each load, and the limits in ms of the answers, each at a quantile.

    Other processes of the machine delay some of the few answers of a reduced run. If they waited for an image or for
    the model, all of them would be late.
    """

    seconds: float
    limits: Mapping[float, float]


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(60, {0.99: 50}), "reduced": Plan(4, {0.5: 50, 0.99: 1000})}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Ask both paths under each load."""
    plan, found = PLANS[size], proof.Findings()
    found.numbers = {"rate": RATE, "clients": CLIENTS, "uploaders": UPLOADERS, "image_bytes": IMAGE_BYTES}
    _with_a_sleeping_model(folder / "sleep", plan, found)
    _with_images(folder / "images", plan, found)
    return found


def _with_a_sleeping_model(folder: Path, plan: Plan, found: proof.Findings) -> None:
    sleeper = Sleeper(folder)
    asked: Request = ("/predict", json.dumps({"seconds": SLEEP_S}).encode(), {})
    with (
        Service(sleeper.folder, log=folder / "log", flags=["--drain-s", "0"]) as service,
        _busy(CLIENTS, partial(_status, service, *asked)) as statuses,
    ):
        _judge(found, f"predict sleeps {SLEEP_S:g} s for {CLIENTS} clients", _probed(service, plan.seconds), plan)
    _count(found, f"predictions of a model that sleeps {SLEEP_S:g} s", statuses)


def _with_images(folder: Path, plan: Plan, found: proof.Findings) -> None:
    libraries = environments.packages("formats")
    environments.add(libraries)
    folder.mkdir()
    pictures = importlib.import_module("support.formats.pictures")
    model = pictures.folder(folder / "colors", [], max_bytes=IMAGE_BYTES + 2**20)
    with Service(model, log=folder / "log", env=environments.variables(libraries)) as service:
        for form, request in _forms(_image()).items():
            with _busy(UPLOADERS, partial(_status, service, *request)) as statuses:
                _judge(found, f"images of 20 MB come as {form}", _probed(service, plan.seconds / len(_NAMES)), plan)
            _count(found, f"images of 20 MB as {form}", statuses)
        found.note("peak memory of the service of images, MiB", f"{memory_mib(service.process.pid)[1]:.0f}")


_NAMES = ("a file", "a form", "JSON", "a tensor")


def _forms(image: bytes) -> dict[str, Request]:
    """The same image in each form in which it may come."""
    head = b'--x\r\ncontent-disposition: form-data; name="photo"; filename="a"\r\n\r\n'
    form = head + image + b"\r\n--x--\r\n"
    tensor = {"name": "photo", "datatype": "BYTES", "shape": [1], "data": [text(image)]}
    requests: tuple[Request, ...] = (
        ("/predict", image, {"content-type": "image/png"}),
        ("/predict", form, {"content-type": "multipart/form-data; boundary=x"}),
        ("/predict", json.dumps({"photo": text(image)}).encode(), {}),
        ("/v2/models/colors/infer", json.dumps({"inputs": [tensor]}).encode(), {}),
    )
    return dict(zip(_NAMES, requests, strict=True))


def _image() -> bytes:
    noise = PIL.Image.frombytes("RGB", (SIDE, SIDE), random.Random(0).randbytes(SIDE * SIDE * 3))
    data = file(noise, "PNG", compress_level=0)
    assert len(data) > IMAGE_BYTES
    return data


def _status(service: Service, path: str, body: bytes, headers: dict[str, str]) -> int:
    return service.ask("POST", path, body, headers).status


@contextmanager
def _busy(clients: int, ask: Callable[[], int]) -> Iterator[list[int]]:
    """So many clients ask again and again while the block runs; the list gets the statuses."""
    statuses: list[int] = []
    ended = threading.Event()

    def ask_on() -> None:
        while not ended.is_set():
            statuses.append(ask())

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask_on) for _ in range(clients)]
        try:
            yield statuses
        finally:
            ended.set()
    for one in asking:
        one.result()


def _probed(service: Service, seconds: float) -> dict[str, Summary]:
    """The answers of both paths, asked at a steady rate for so many seconds."""
    url = f"http://{HOST}:{service.port}"
    with ExitStack() as stack:
        loads = {
            path: stack.enter_context(OpenLoop(url, rate=RATE, seconds=seconds, request=Always(encode("GET", path))))
            for path in PATHS
        }
        return {path: load.result() for path, load in loads.items()}


def _judge(found: proof.Findings, load: str, answers: Mapping[str, Summary], plan: Plan) -> None:
    for path, summary in answers.items():
        for quantile, limit in plan.limits.items():
            reached = summary.latency_ms(quantile)
            what = f"{path} while {load}: p{quantile * 100:.0f}, ms"
            found.claim(what, f"under {limit:.0f}", f"{reached:.1f}", reached < limit and not summary.failed)
        found.numbers[f"{path} while {load}"] = summary.to_json()


def _count(found: proof.Findings, what: str, statuses: list[int]) -> None:
    others = [one for one in statuses if one != 200]
    held = bool(statuses) and not others
    found.claim(f"{what}: answered, and refused", "some, and 0", f"{len(statuses)}, {len(others)}", held)


if __name__ == "__main__":
    proof.run("health_under_load", TITLE, prove)
