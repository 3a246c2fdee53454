"""Serves artifacts of many kinds and compares every answer with that of the library that wrote the artifact."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support import proof

TITLE = "trained artifacts of many kinds: the served answers beside the library's own"
ROOT = Path(__file__).resolve().parents[2]
STEPS: Mapping[proof.Size, int] = {"full": 1, "reduced": 6}
"""Which kinds: every one, or every sixth."""
LEAST: Mapping[proof.Size, int] = {"full": 50, "reduced": 10}
FIT_OLDER = ROOT / "tests" / "support" / "artifacts" / "older.py"


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Fit, write, serve and ask the kinds in a process that sees further libraries."""
    found, written = proof.Findings(), folder / "served"
    written.mkdir()
    older = _older(folder / "older") if size == "full" else []
    packages = next(_environment("artifacts").glob("lib/python*/site-packages"))
    paths = [str(ROOT / "services"), str(ROOT / "tests"), str(packages)]
    command = [sys.executable, "-m", "support.artifacts.served", str(written), str(STEPS[size]), *older]
    results = _lines(_run(command, PYTHONPATH=os.pathsep.join(paths)))
    asked = Counter[str]()
    for result in results:
        asked.update(result["found"])
    served = [one for one in results if set(one["found"]) == {"right"}]
    wrong = [one["name"] for one in results if "wrong" in one["found"]]
    silent = [one["name"] for one in results if set(one["found"]) != {"right"} and not one["why"]]
    found.claim("artifacts", f">= {LEAST[size]}", len(results), len(results) >= LEAST[size])
    found.claim("artifacts with a wrong answer and status 200", "0", len(wrong), not wrong)
    found.claim("artifacts refused without a reason", "0", len(silent), not silent)
    found.note("artifacts whose every answer is the library's own", len(served))
    for how in sorted(how for how in asked if how.startswith("refused")):
        found.note(f"artifacts {how}", sum(how in one["found"] for one in results))
    found.note("requests answered as the library does", asked["right"])
    found.numbers = {"artifacts": results}
    return found


def _older(folder: Path) -> list[str]:
    folder.mkdir()
    _run([str(_environment("sklearn-older") / "bin" / "python"), str(FIT_OLDER), str(folder)])
    return [str(folder)]


def _environment(name: str) -> Path:
    return Path(_run([str(ROOT / "ci" / "environment"), name]).strip())


def _run(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, timeout=1500, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


if __name__ == "__main__":
    proof.run("artifacts", TITLE, prove)
