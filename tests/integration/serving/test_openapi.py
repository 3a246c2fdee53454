"""The OpenAPI documents of the examples are true: schemathesis finds no response that they do not declare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import clients
from support.service import Service

MODELS = Path(__file__).parents[3] / "build" / "models"
FOLDERS = {
    "iris": MODELS / "iris" / "1.1.0",
    "rents": MODELS / "rents" / "1.0.0",
    "sentiment": MODELS / "sentiment" / "1.0.0",
}
# A request can fit the schema and still be refused: a tensor's data must fit its shape, and names must be the model's.
NOT_CHECKED = "positive_data_acceptance"
CASES = 300
"""The least number of requests; there are some 800."""


@pytest.fixture(scope="module", params=FOLDERS)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = FOLDERS[request.param]
    assert folder.exists(), "build/models is missing: run ci/models"
    with Service(folder, log=tmp_path_factory.mktemp("service") / "log", flags=["--drain-s", "0"]) as running:
        yield running


def test_no_request_gets_a_5xx_or_a_response_that_is_not_declared(service: Service, tmp_path: Path) -> None:
    document = f"http://127.0.0.1:{service.port}/openapi.json"
    options = ["--seed=1", "--max-examples=20", "--phases=examples,coverage,fuzzing", "--no-color"]
    command = ["-m", "schemathesis.cli", "run", document, f"--exclude-checks={NOT_CHECKED}", *options]
    done = clients.run(command, cwd=tmp_path, timeout_s=200)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    (cases,) = re.findall(r"(\d+) generated", done.stdout)
    assert int(cases) > CASES
    assert [line for line in service.log_lines() if line["level"] == "error"] == []
