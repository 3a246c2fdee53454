"""The OpenAPI documents of the examples are true: schemathesis finds no response that they do not declare.

tests/integration/formats/test_openapi.py has the examples with an environment of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.openapi_fuzzing import fuzzed
from support.service import Service

MODELS = Path(__file__).parents[3] / "build" / "models"
FOLDERS = {
    "churn": MODELS / "churn" / "1.0.0",
    "iris": MODELS / "iris" / "1.1.0",
    "rents": MODELS / "rents" / "1.0.0",
    "sentiment": MODELS / "sentiment" / "1.0.0",
}
CASES = 300
"""The least number of requests; there are some 800."""


@pytest.fixture(scope="module", params=FOLDERS)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = FOLDERS[request.param]
    assert folder.exists(), "build/models is missing: run ci/models"
    with Service(folder, log=tmp_path_factory.mktemp("service") / "log", flags=["--drain-s", "0"]) as running:
        yield running


def test_no_request_gets_a_5xx_or_a_response_that_is_not_declared(service: Service, tmp_path: Path) -> None:
    assert fuzzed(service, tmp_path) > CASES
