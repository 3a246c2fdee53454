"""How many CPUs this process may use, and the variables that limit the threads of the numeric libraries.

Imports no numeric library: they read these variables when they are imported.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")

# OpenMP, MKL, OpenBLAS, numexpr and Accelerate each read their own variable once, at import.
VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def cpus(cpu_max: str, visible: int) -> int:
    """The number of whole CPUs, at least 1, from the text of cgroup v2's `cpu.max` ("200000 100000", "max 100000").

    A quota is rounded up: with a quota of 1.5 CPUs, one thread would leave a third of it unused. Without a quota, or if
    the text cannot be parsed, the result is `visible`, the number of CPUs that the scheduler lets this process use.
    """
    words = cpu_max.split()
    try:
        quota, period = int(words[0]), int(words[1])
    except (IndexError, ValueError):
        return max(visible, 1)
    if quota <= 0 or period <= 0:
        return max(visible, 1)
    return max(min(math.ceil(quota / period), visible), 1)


def available() -> int:
    """The number of CPUs that this process may use, from its cgroup and its CPU affinity."""
    visible = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        text = CPU_MAX.read_text(encoding="ascii")
    except OSError:
        text = ""
    return cpus(text, visible)


def workers(setting: int | Literal["auto"] | None, cpus: int) -> int | None:
    """How many workers to start; None: the process serves the model itself."""
    return cpus if setting == "auto" else setting


def environment(environ: Mapping[str, str], cpus: int, threads: int, compute_threads: int | None) -> dict[str, str]:
    """The variables to set before a numeric library is imported. Variables that are already set are left out."""
    each = compute_threads or max(cpus // threads, 1)
    return {name: str(each) for name in VARIABLES if not environ.get(name)}


def compute_threads(environ: Mapping[str, str]) -> int:
    """The threads of one call of the model, for a library that takes them as an option and reads no variable.

    It is what `environment` has set, or somebody before it; else the number of CPUs that this process may use.
    """
    given = environ.get(VARIABLES[0], "")
    return int(given) if given.isdecimal() and int(given) > 0 else available()
