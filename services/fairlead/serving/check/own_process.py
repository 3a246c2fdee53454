"""Runs the checks in a process of their own: the model's code may end it, and what it prints is kept apart.

A call with a made-up row that does not return is ended with the process. Another one then checks without such rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.serving.check.findings import Finding, skipped
from fairlead.serving.check.printed import Printed

ENDED_HINT = "The service stops with it. Let the model's code raise an exception instead; look at what it printed."
MADE_UP_S = 60.0
"""Seconds that a call with made-up rows may take, as `call_timeout_s` of the service."""
LEFT_S = 1.0
"""Seconds in which the rest of what was printed is read: a process that the model left may print without end."""


def check_in_own_process(path: Path, printed: Printed, made_up_s: float = MADE_UP_S) -> tuple[Finding, ...]:
    """As `checks.check_folder`. What the model prints goes to `printed`.

    Raises Unavailable if the checks cannot be started.
    """
    lines, code, hung = _checks([str(path)], printed, made_up_s)
    if hung:
        lines, code, _ = _checks([str(path), f"{hung} has not returned within {made_up_s:g} s"], printed, made_up_s)
    how = f"with signal {-code}" if code < 0 else f"with code {code}"
    if not lines:
        raise errors.Unavailable(f"the checks could not be started: their process ended {how}; see what it printed")
    findings = [Finding(**line) for line in lines[1:]]
    missing: list[str] = lines[0][len(findings) :]
    if missing:
        findings.append(Finding(missing[0], "failed", f"the model's process ended {how} during this check", ENDED_HINT))
        findings.extend(skipped(name, missing[:1]) for name in missing[1:])
    return tuple(findings)


def schemas_in_own_process(path: Path) -> dict[str, dict[str, Any]]:
    """The JSON schemas of a folder's rows ("row") and answers ("answer"). Raises Invalid if it cannot be read."""
    with _start("fairlead.serving.check.schemas", [str(path)], stderr=subprocess.DEVNULL) as process:
        printed, _ = process.communicate()
    if process.returncode:
        said = json.loads(printed or "{}")
        why = said.get("error", f"its code ended the process, exit code {process.returncode}")
        hint = said.get("hint") or f"`fairlead check {path}` says more"
        raise errors.Invalid(f"the types of {path} cannot be read: {why}", hint=hint)
    found: dict[str, dict[str, Any]] = json.loads(printed)
    return found


def _checks(arguments: Sequence[str], printed: Printed, made_up_s: float) -> tuple[list[Any], int, str]:
    """The lines that the checks print, the exit code, and the made-up row that was given up; empty if there is none."""
    lines: list[Any] = []
    given_up: list[str] = []
    # Not PIPE: a process that the model left may still hold it, and this one must not wait for that.
    reading, writing = os.pipe()
    reader = threading.Thread(target=printed.take, args=(reading,), daemon=True)
    reader.start()
    with open(writing, "wb") as stderr:
        process = _start("fairlead.serving.check", arguments, stderr=stderr.fileno())
    with process:
        assert process.stdout is not None

        def give_up(asked: str) -> None:
            given_up.append(asked)
            process.kill()

        watch: threading.Timer | None = None
        for line in process.stdout:
            said = json.loads(line)
            if not isinstance(said, str):
                lines.append(said)
                continue
            if watch is not None:
                watch.cancel()
            watch = threading.Timer(made_up_s, give_up, [said]) if said else None
            if watch is not None:
                watch.start()
        if watch is not None:
            watch.cancel()
        process.wait()
        reader.join(LEFT_S)
    return lines, process.returncode, given_up[0] if given_up else ""


def _start(module: str, arguments: Sequence[str], stderr: int | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", module, *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=environment)
