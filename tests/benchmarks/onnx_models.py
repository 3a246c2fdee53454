"""Serves the models that ONNX tests its own backends with: how many are answered as ONNX expects, and why not all?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from support import environments, proof
from support.onnx_backend.classes import CRASHED, UNKNOWN

TITLE = "ONNX's own test models through V2"
ROOT = environments.ROOT
STEPS: Mapping[proof.Size, int] = {"full": 1, "reduced": 40}
"""Which models: every one, or every fortieth."""
LEAST = 0.7
"""The share of the models that is answered as ONNX expects."""
FORMS = ("json", "binary")
KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")
MOST_CRASHES = 3
PROCESS_S = 1200.0


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Every model is served as it is, by the service's own application, and asked once in each form."""
    found, results = proof.Findings(), list(_results(STEPS[size], folder))
    total = len(results)
    for form, name in zip(FORMS, ("JSON", "binary tensors"), strict=True):
        right = sum(not one[form]["reason"] for one in results)
        what = f"answered as ONNX expects, {name}, of {total} models"
        found.claim(what, f"at least {LEAST:.0%}", right, right >= LEAST * total)
    reasons = Counter(one["binary"]["reason"] or one["json"]["reason"] for one in results)
    for reason, count in sorted(reasons.items(), key=lambda one: (-one[1], one[0])):
        if reason and reason not in (UNKNOWN, CRASHED):
            found.note(f"not answered: {reason}", count)
    found.claim("ended the process that served it", "0", reasons[CRASHED], not reasons[CRASHED])
    found.claim(f"not answered, and {UNKNOWN}", "0", reasons[UNKNOWN], not reasons[UNKNOWN])
    if size == "full":
        found.numbers["models"] = total
        found.numbers["answered"] = {form: sum(not one[form]["reason"] for one in results) for form in FORMS}
        found.numbers["kinds"] = {
            kind: [sum(one["kind"] == kind and not one["binary"]["reason"] for one in results),
                   sum(one["kind"] == kind for one in results)]
            for kind in KINDS
        }  # fmt: skip
        found.numbers["versions"] = _versions()
    found.numbers["not_answered"] = _by_reason(results)
    return found


def _by_reason(results: list[dict[str, Any]]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for one in results:
        if reason := one["binary"]["reason"] or one["json"]["reason"]:
            named.setdefault(reason, []).append(one["name"])
    return {reason: sorted(names) for reason, names in sorted(named.items())}


def _results(step: int, folder: Path) -> Iterator[dict[str, Any]]:
    """The result of each model. A model that ends the process is one, and the next process goes on after it."""
    done = crashes = 0
    while True:
        begun: dict[str, Any] | None = None
        for one in _process(folder, step, done):
            if one.pop("begins", False):
                begun = one
                continue
            done, begun = done + 1, None
            yield one
        if begun is None:
            return
        crashes, done = crashes + 1, done + 1
        yield begun | {form: {"reason": CRASHED, "why": ""} for form in FORMS}
        if crashes > MOST_CRASHES:
            raise RuntimeError(f"{crashes} processes ended; the last one while it served {begun['name']}")


def _process(folder: Path, step: int, skip: int) -> Iterator[dict[str, Any]]:
    paths = [str(ROOT / "services"), str(ROOT / "tests"), str(environments.packages("formats"))]
    command = [sys.executable, "-m", "support.onnx_backend.served", str(folder), str(step), str(skip)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    errors = folder / "errors"
    with errors.open("w") as log:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=env, timeout=PROCESS_S, check=False
        )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode > 0 or not lines and skip == 0:
        raise RuntimeError(f"the process ended with {done.returncode}: {errors.read_text()[-2000:]}")
    yield from lines


def _versions() -> dict[str, str]:
    """The versions of the libraries, as their environment has them."""
    code = "import onnx, onnxruntime; print(onnx.__version__, onnxruntime.__version__)"
    env = os.environ | {"PYTHONPATH": str(environments.packages("formats"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    return dict(zip(("onnx", "onnxruntime"), done.stdout.split(), strict=True))


if __name__ == "__main__":
    proof.run("onnx_models", TITLE, prove)
