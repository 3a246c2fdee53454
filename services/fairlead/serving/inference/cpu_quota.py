"""How many CPUs this process may use, and how the numeric libraries are told. Imports nothing that reads it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")

# OpenMP, MKL, OpenBLAS, numexpr and Accelerate each read their own variable, once, when they are first imported.
VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def cpus(cpu_max: str, visible: int) -> int:
    """Whole CPUs from the text of cgroup v2's `cpu.max` ("200000 100000", "max 100000"), at least one.

    A quota of 1.5 CPUs is 2: half a thread cannot be had, and a library held to one would leave a third unused.
    Without a quota, or with a text that is not one, it is what the scheduler lets this process run on.
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
    """The CPUs of this process, from its cgroup and its affinity."""
    visible = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        text = CPU_MAX.read_text(encoding="ascii")
    except OSError:
        text = ""
    return cpus(text, visible)


def environment(environ: Mapping[str, str], cpus: int, threads: int, compute_threads: int | None) -> dict[str, str]:
    """The variables to set before a numeric library is imported; those that somebody has set keep their value."""
    each = compute_threads or max(cpus // threads, 1)
    return {name: str(each) for name in VARIABLES if not environ.get(name)}
