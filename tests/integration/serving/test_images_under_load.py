"""Probes are fast while a service decodes large images, in every form in which they come, and its memory is bounded."""

from __future__ import annotations

import importlib
import json
import random
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import PIL.Image
import pytest

from support import environments
from support.image_files import file, text
from support.processes import memory_mib
from support.service import Service

LARGE = 20_000_000
"""The bytes of a large image."""
UPLOADS, CLIENTS = 6, 2
PROBES = 100
MEMORY_MIB = 900
"""What the service may need in all: two images of 7 megapixels are decoded at once, and their bodies wait."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    libraries = environments.packages("formats")
    environments.add(libraries)
    pictures = importlib.import_module("support.formats.pictures")
    scratch = tmp_path_factory.mktemp("images")
    folder = pictures.folder(scratch / "colors", [], max_bytes=LARGE + 2**20)
    with Service(folder, log=scratch / "log", env=environments.variables(libraries)) as running:
        yield running


@pytest.fixture(scope="module")
def image() -> bytes:
    side = 2582
    noise = PIL.Image.frombytes("RGB", (side, side), random.Random(0).randbytes(side * side * 3))
    data = file(noise, "PNG", compress_level=0)
    assert len(data) > LARGE
    return data


def sent(image: bytes, form: str) -> tuple[str, bytes, dict[str, str]]:
    """The path, the body and the headers of an image in this form."""
    if form == "file":
        return "/predict", image, {"content-type": "image/png"}
    if form == "form":
        head = b'--x\r\ncontent-disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        return "/predict", head + image + b"\r\n--x--\r\n", {"content-type": "multipart/form-data; boundary=x"}
    if form == "json":
        return "/predict", json.dumps({"photo": text(image)}).encode(), {}
    tensor = {"name": "photo", "datatype": "BYTES", "shape": [1], "data": [text(image)]}
    return "/v2/models/colors/infer", json.dumps({"inputs": [tensor]}).encode(), {}


@pytest.mark.parametrize("form", ["file", "form", "json", "tensor"])
def test_probes_are_fast_while_20_megabytes_are_decoded(service: Service, image: bytes, form: str) -> None:
    path, body, headers = sent(image, form)
    took: dict[str, list[float]] = {"/livez": [], "/metrics": []}
    with ThreadPoolExecutor(CLIENTS) as pool:
        uploads = [pool.submit(service.ask, "POST", path, body, headers) for _ in range(UPLOADS)]
        while not all(upload.done() for upload in uploads) and len(took["/livez"]) < PROBES:
            for probe, times in took.items():
                began = time.perf_counter()
                assert service.ask("GET", probe).status == 200
                times.append(time.perf_counter() - began)
    assert [upload.result().status for upload in uploads] == [200] * UPLOADS
    assert {probe: times for probe, times in took.items() if statistics.median(times) > 0.05} == {}
    # Other load on the machine may delay one; if they waited for an image to be decoded, many would take seconds.
    assert {probe: times for probe, times in took.items() if sorted(times)[int(len(times) * 0.99)] > 1} == {}


def test_the_memory_of_the_service_stays_bounded(service: Service) -> None:
    assert memory_mib(service.process.pid)[1] < MEMORY_MIB
