"""The setting `device`: which device each library is told to use, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fairlead import errors
from fairlead.serving.formats import device

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def torch(gpus: int) -> Any:
    cuda = SimpleNamespace(is_available=lambda: gpus > 0, device_count=lambda: gpus)
    return SimpleNamespace(__version__="2", cuda=cuda)


def runtime(*names: str) -> Any:
    return SimpleNamespace(__version__="1", get_available_providers=lambda: [*names, CPU])


@pytest.mark.parametrize(
    ("setting", "gpus", "chosen"),
    [
        ("auto", 0, "cpu"),
        ("", 0, "cpu"),
        ("auto", 2, "cuda"),
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_pytorch_gets_the_device_of_the_setting(
    monkeypatch: pytest.MonkeyPatch, setting: str, gpus: int, chosen: str
) -> None:
    monkeypatch.setenv(device.DEVICE, setting)
    assert device.of_torch(torch(gpus)) == chosen


@pytest.mark.parametrize(
    ("setting", "gpus", "sentence"),
    [
        ("cuda", 0, "the setting device is 'cuda', and PyTorch 2 finds no GPU here"),
        ("cuda:2", 2, "the setting device is 'cuda:2', and PyTorch 2 finds 2, the last of them cuda:1 here"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, setting: str, gpus: int, sentence: str
) -> None:
    monkeypatch.setenv(device.DEVICE, setting)
    with pytest.raises(errors.Unavailable) as caught:
        device.of_torch(torch(gpus))
    assert caught.value.message == sentence


@pytest.mark.parametrize(
    ("setting", "names", "chosen"),
    [
        ("auto", [], [CPU]),
        ("auto", [CUDA], [(CUDA, {"device_id": "0"}), CPU]),
        ("cpu", [CUDA], [CPU]),
        ("cuda:3", [CUDA], [(CUDA, {"device_id": "3"}), CPU]),
    ],
)
def test_onnxruntime_gets_the_providers_of_the_setting(
    monkeypatch: pytest.MonkeyPatch, setting: str, names: list[str], chosen: list[Any]
) -> None:
    monkeypatch.setenv(device.DEVICE, setting)
    assert device.providers(runtime(*names)) == chosen


def test_onnxruntime_without_cuda_refuses_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(device.DEVICE, "cuda")
    with pytest.raises(errors.Unavailable, match="onnxruntime 1 finds no GPU here"):
        device.providers(runtime())
