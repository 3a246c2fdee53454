"""ci/setup says what it does: uv's own progress on a terminal, and one line in a log."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from support.processes import wait_until
from support.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
UV = """#!/bin/sh
case "$*" in *--quiet*) ;; *) echo "uv: Prepared 90 packages" >&2 ;; esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose pip and uv install nothing: without --quiet, this uv prints one line."""
    (tmp_path / "ci").mkdir()
    shutil.copy(ROOT / "ci/setup", tmp_path / "ci")
    for name in ("pyproject.toml", "requirements/setup.txt", "requirements/dev.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    for name, script in (("python", "#!/bin/sh\n"), ("uv", UV)):
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    return tmp_path


def test_in_a_log_the_installation_is_one_line_that_says_how_long_it_takes(clone: Path) -> None:
    done = subprocess.run([clone / "ci/setup"], capture_output=True, text=True, check=True)
    line = "ci/setup: installing requirements/dev.txt into .venv (the first time takes about a minute)\n"
    assert (done.stdout + done.stderr) == line


def test_on_a_terminal_uv_shows_its_progress(clone: Path) -> None:
    with Terminal([clone / "ci/setup"], cwd=clone) as terminal:
        wait_until(lambda: (clone / ".venv/.fairlead-dev").exists(), "ci/setup has installed")
    assert terminal.text.splitlines()[1:] == ["uv: Prepared 90 packages"]
