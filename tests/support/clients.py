"""The environment of requirements/clients.txt: clients of other platforms and schemathesis, without Fairlead."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from support import environments


def python() -> Path:
    """Its Python. The first call on a machine installs the environment, which takes up to a minute."""
    return environments.python("clients")


def run(arguments: Sequence[str | Path], *, cwd: Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Run its Python with these arguments, without Fairlead's modules."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [python(), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)
