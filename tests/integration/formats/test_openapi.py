"""The OpenAPI documents of the examples with an environment of their own: no 5xx, no response that is not declared.

`diabetes` and `digits` run always, the others with `make torch`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.formats.training import OF_FORMATS, train
from support import environments
from support.openapi_fuzzing import fuzzed
from support.service import Service

ALWAYS = ("diabetes", "digits")
WITH_TORCH = ("digits-keras", "digits-torch")
CASES = 200
"""The least number of requests."""


@pytest.mark.parametrize("name", OF_FORMATS)
def test_no_request_gets_a_5xx_or_a_response_that_is_not_declared(
    request: pytest.FixtureRequest, trained: Path, libraries: list[Path], tmp_path: Path, name: str
) -> None:
    if name not in ALWAYS:
        request.getfixturevalue("torch")
    _fuzz(trained / name / "1.0.0", libraries, tmp_path)


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("name", WITH_TORCH)
def test_neither_does_one_of_an_example_with_pytorch(libraries: list[Path], tmp_path: Path, name: str) -> None:
    train(name, tmp_path, *libraries)
    _fuzz(tmp_path / name / "1.0.0", libraries, tmp_path)


def _fuzz(folder: Path, libraries: list[Path], log: Path) -> None:
    env = environments.variables(*libraries)
    with Service(folder, log=log / "log", flags=["--drain-s", "0"], env=env) as service:
        assert fuzzed(service, log, examples=10) > CASES
