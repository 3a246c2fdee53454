"""Loads hostile and damaged model files of every format: is any of them executed, and is each refused within bounds?

One process loads all files of a format, one after the other, so what one of them does to the process is seen. Another
one has made them: some need much memory for that. The files are those of the tests of the formats.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support import environments, image_files, proof
from support.formats.graphs_of_bytes import pickle_with_code

TITLE = "hostile and damaged model files"
KINDS: Mapping[proof.Size, Sequence[str]] = {
    "full": (
        *("pickle and joblib", "image", "ONNX", "skops", "XGBoost", "LightGBM"),
        *("PyTorch (.pt)", "safetensors", "Keras (.keras)", "HDF5 (.h5)"),
    ),
    "reduced": ("pickle and joblib", "image", "ONNX", "skops"),
}
"""The reduced run has those that need no PyTorch; tests/integration/formats/test_boosters loads the boosters."""
LEAST = 60
MEMORY_MIB = 128
"""How much the memory of a process may grow while it loads all files of a format."""
LIMIT_S = 300


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Load all files of each kind, and count."""
    found, kinds = proof.Findings(), KINDS[size]
    names = ["formats", "torch", "keras"] if size == "full" else ["formats"]
    libraries = [environments.packages(name) for name in names]
    for one in libraries:
        environments.add(one)
    importlib.import_module("support.formats.pictures").folder(folder / "colors", [], max_pixels=image_files.LIMIT)
    results = {kind: _loaded(folder / str(number), kind, libraries) for number, kind in enumerate(kinds)}
    files = [one for lines in results.values() for one in lines if "name" in one]
    executed = [one["name"] for one in files if one["executed"]]
    found.claim("files", f"at least {LEAST}", len(files), len(files) >= LEAST)
    found.claim("executed", "0", len(executed), not executed)
    pickle.loads(pickle_with_code(control := folder / "control"))
    seen = control.exists()
    found.claim("a file that is read on purpose is seen to be executed", "yes", "yes" if seen else "no", seen)
    for kind, lines in results.items():
        one_kind = [one for one in lines if "name" in one]
        refused = sum(one["outcome"] == "refused" for one in one_kind)
        grown = lines[-1].get("peak_mib", float("inf")) - lines[0]["peak_mib"]
        found.claim(f"{kind}: refused with a sentence", f"{len(one_kind)}", refused, refused == len(one_kind))
        found.claim(f"{kind}: more memory, MiB", f"at most {MEMORY_MIB}", f"{grown:.0f}", grown <= MEMORY_MIB)
    found.numbers = dict(results)
    return found


def _loaded(folder: Path, kind: str, libraries: Sequence[Path]) -> list[dict[str, Any]]:
    """The lines of the process that loads the files of a kind."""
    tests = environments.ROOT / "tests"
    env = os.environ | environments.variables(tests, *libraries) | {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "support.formats.hostile_folders"]
    subprocess.run([*command, "write", kind, str(folder)], env=env, check=True, timeout=LIMIT_S)
    done = subprocess.run(
        [*command, "load", kind, str(folder)], env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0:  # the file at which the process ended has no line
        lines.append(
            {"name": "the next one", "outcome": f"the process ended with {done.returncode}", "executed": False}
        )
    return lines


if __name__ == "__main__":
    proof.run("hostile_files", TITLE, prove)
