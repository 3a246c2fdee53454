"""Runs schemathesis against the OpenAPI document of a running service."""

from __future__ import annotations

import re
from pathlib import Path

from support import clients
from support.service import Service

# A request can fit the schema and still be refused: a tensor's data must fit its shape, and names must be the model's.
NOT_CHECKED = "positive_data_acceptance"


def fuzzed(service: Service, folder: Path, *, examples: int = 20, timeout_s: float = 200) -> int:
    """How many requests were sent. Fails if one got a 5xx or a response that the document does not declare."""
    document = f"http://127.0.0.1:{service.port}/openapi.json"
    options = ["--seed=1", f"--max-examples={examples}", "--phases=examples,coverage,fuzzing", "--no-color"]
    command = ["-m", "schemathesis.cli", "run", document, f"--exclude-checks={NOT_CHECKED}", *options]
    done = clients.run(command, cwd=folder, timeout_s=timeout_s)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    (cases,) = re.findall(r"(\d+) generated", done.stdout)
    assert [line for line in service.log_lines() if line["level"] == "error"] == []
    return int(cases)
