"""Makes the libraries of the formats importable, in this process and in the services of the tests."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

from integration.formats.training import OF_FORMATS, train
from support import environments


@pytest.fixture(scope="session", autouse=True)
def libraries() -> list[Path]:
    """The packages of requirements/formats.txt, and with FAIRLEAD_TORCH=1 those of torch, keras and optimize."""
    names = ["formats", "torch", "keras", "optimize"] if os.environ.get("FAIRLEAD_TORCH") else ["formats"]
    found = [environments.packages(name) for name in names]
    for folder in found:
        environments.add(folder)
    return found


@pytest.fixture(scope="session")
def trained(libraries: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the examples that need no more than requirements/formats.txt."""
    out = tmp_path_factory.mktemp("models")
    for name in OF_FORMATS:
        train(name, out, *libraries)
    return out


@pytest.fixture(scope="session")
def torch(libraries: list[Path]) -> Any:
    """PyTorch. Skips the test where it is not asked for: it has 5 GB, so `make torch` runs these tests."""
    if len(libraries) < 2:
        pytest.skip("PyTorch is not asked for: `make torch` runs the tests of its formats")
    return importlib.import_module("torch")


@pytest.fixture(scope="session")
def keras(torch: Any) -> Any:
    """Keras, which PyTorch computes. Skips the test where that is not asked for."""
    os.environ["KERAS_BACKEND"] = "torch"
    return importlib.import_module("keras")
