"""Runs the checks in a process of their own: the model's code may end it, and what it prints goes to stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.serving.check.findings import Finding, skipped

ENDED_HINT = "The service stops with it. Let the model's code raise an exception instead; look at what it printed."


def check_in_own_process(path: Path) -> tuple[Finding, ...]:
    """As `checks.check_folder`. Raises Unavailable if the checks cannot be started."""
    ended = _run("fairlead.serving.check", path)
    how = f"with signal {-ended.returncode}" if ended.returncode < 0 else f"with code {ended.returncode}"
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    if not lines:
        raise errors.Unavailable(f"the checks could not be started: their process ended {how}; see its output above")
    findings = [Finding(**line) for line in lines[1:]]
    missing: list[str] = lines[0][len(findings) :]
    if missing:
        findings.append(Finding(missing[0], "failed", f"the model's process ended {how} during this check", ENDED_HINT))
        findings.extend(skipped(name, missing[:1]) for name in missing[1:])
    return tuple(findings)


def schemas_in_own_process(path: Path) -> dict[str, dict[str, Any]] | None:
    """The JSON schemas of a folder's rows ("row") and answers ("answer"); None if its code cannot be read."""
    ended = _run("fairlead.serving.check.schemas", path, stderr=subprocess.DEVNULL)
    if ended.returncode:
        return None
    found: dict[str, dict[str, Any]] = json.loads(ended.stdout)
    return found


def _run(module: str, path: Path, stderr: int | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-P", "-m", module, str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, env=environment, check=False)
