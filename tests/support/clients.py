"""Clients of other platforms and schemathesis, in environments of their own, without Fairlead."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from support import environments


def run(
    arguments: Sequence[str | Path], *, cwd: Path, timeout_s: float = 120, environment: str = "clients"
) -> subprocess.CompletedProcess[str]:
    """Run the Python of an environment with these arguments, without Fairlead's modules.

    `environment` names the list in requirements/. The first call on a machine installs it, which takes up to a minute.
    """
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [environments.python(environment), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)
