"""Runs the scripts in the charts as a cluster does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run(script: Path, *arguments: str, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script as the Job does: its text after `python -c`, with this code before it."""
    return subprocess.run(
        [sys.executable, "-c", before + script.read_text(), *arguments],
        env={**os.environ, "NO_PROXY": "*", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
