"""Runs `fairlead new NAME --from FILE` for files that packages ship and files made here: is each folder fit?"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support import environments, proof
from support.trained_files import MADE, SHIPPED

TITLE = "model folders from trained files, without an edited line"
FILES: Mapping[proof.Size, Sequence[str]] = {
    "full": (*SHIPPED, *MADE),
    "reduced": ("logreg-iris", "conv2d", "skops"),
}
ENVIRONMENTS: Mapping[proof.Size, Sequence[str]] = {"full": ("formats", "torch", "keras"), "reduced": ("formats",)}
TESTS = Path(__file__).parents[1]
"""Where the program that makes the files is."""
SECONDS = 60
"""How long a command may take."""
RUNS_CODE = (".joblib", ".pkl", ".h5", ".pt2")


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """One command for each file, as its user runs it, and the checks that it runs at its end."""
    found = proof.Findings()
    packages = [environments.packages(name) for name in ENVIRONMENTS[size]]
    env = os.environ | environments.variables(TESTS, *packages)
    names = FILES[size]
    files = _run([sys.executable, "-m", "support.trained_files", str(folder), *names], env, 300)
    results = [_new(json.loads(line), folder, env) for line in files.stdout.splitlines()]
    if len(results) != len(names):
        raise RuntimeError(f"{len(names) - len(results)} files were not made: {files.stderr[-2000:]}")
    fit = [one for one in results if one["fit"]]
    others = [one for one in fit if one["by"] != "here"]
    slowest = max(one["seconds"] for one in results)
    found.claim(f"folders that are fit to serve, of {len(results)}", str(len(results)), len(fit), fit == results)
    if size == "full":
        found.claim("files of packages among them", ">= 5", len(others), len(others) >= 5)
        found.claim("slowest command, s", f"at most {SECONDS}", f"{slowest:.1f}", slowest <= SECONDS)
    for one in results:
        found.note(f"{one['name']}, {one['format']}, made by {one['by']}, s", f"{one['seconds']:.1f}")
    found.numbers["files"] = results
    return found


def _new(stated: dict[str, Any], folder: Path, env: Mapping[str, str]) -> dict[str, Any]:
    file, name = Path(stated["file"]), stated["name"]
    command = [sys.executable, "-m", "fairlead.cli.main", "new", name, "--from", str(file), "--out", str(folder)]
    if file.suffix in RUNS_CODE:
        command += ["--sha256", hashlib.sha256(file.read_bytes()).hexdigest()]
    began = time.monotonic()
    done = _run(command, env, 300)
    seconds = round(time.monotonic() - began, 1)
    manifest = folder / name / "1.0.0" / "fairlead.yaml"
    lines = manifest.read_text().splitlines() if manifest.is_file() else []
    written = next((line.removeprefix("format: ") for line in lines if line.startswith("format: ")), "none")
    said = "" if done.returncode == 0 else (done.stdout + done.stderr).replace(str(folder), "")[-400:]
    return {
        "name": name,
        "by": stated["by"],
        "format": written,
        "fit": done.returncode == 0,
        "seconds": seconds,
        "said": said,
    }


def _run(command: Sequence[str], env: Mapping[str, str], within_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=within_s, check=False)


if __name__ == "__main__":
    proof.run("new_folders", TITLE, prove)
