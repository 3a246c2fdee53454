"""Trains the examples that need an environment of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import environments

EXAMPLES = environments.ROOT / "services" / "models"
OF_FORMATS = sorted(one.parent.name for one in EXAMPLES.glob("*/environment") if one.read_text().split() == ["formats"])
"""The examples that need the packages of requirements/formats.txt alone."""


def train(name: str, out: Path, *packages: Path) -> str:
    """Run the script of an example with these packages. Returns what it prints."""
    command = [sys.executable, str(EXAMPLES / name / "train.py"), "--out", str(out)]
    env = os.environ | environments.variables(*packages)
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
