"""The OpenAPI documents of the examples of requirements/formats.txt: no 5xx, no response that is not declared.

`diabetes` and `digits` run always, the others with `make torch`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.formats.training import OF_FORMATS
from support import environments
from support.openapi_fuzzing import fuzzed
from support.service import Service

ALWAYS = ("diabetes", "digits")
CASES = 200
"""The least number of requests."""


@pytest.mark.parametrize("name", OF_FORMATS)
def test_no_request_gets_a_5xx_or_a_response_that_is_not_declared(
    request: pytest.FixtureRequest, trained: Path, libraries: list[Path], tmp_path: Path, name: str
) -> None:
    if name not in ALWAYS:
        request.getfixturevalue("torch")
    env, folder = environments.variables(*libraries), trained / name / "1.0.0"
    with Service(folder, log=tmp_path / "log", flags=["--drain-s", "0"], env=env) as service:
        assert fuzzed(service, tmp_path, examples=10) > CASES
