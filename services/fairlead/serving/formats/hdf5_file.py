"""Checks a file of HDF5 with weights before a library reads it: it holds arrays of numbers, and nothing outside of it.

HDF5 can link to other files, take values from them, and state arrays that are larger than the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead.serving.formats.archives import RATIO, USUAL_BYTES, Broken

OBJECTS = 100_000


def check(h5py: Any, file: Path) -> int:
    """How many numbers its arrays have. Raises Broken if the file is damaged or holds something else."""
    try:
        with h5py.File(file, "r") as opened:
            arrays = _arrays(h5py, opened)
            most = max(USUAL_BYTES, RATIO * file.stat().st_size)
            if (large := sum(array.size * array.dtype.itemsize for array in arrays)) > most:
                raise Broken(f"has weights of {large} bytes in a file of {file.stat().st_size}")
            return sum(array.size for array in arrays)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as cause:
        raise Broken(f"is not a complete file of HDF5: {' '.join(str(cause).split())[:120]}") from None


def _arrays(h5py: Any, opened: Any) -> list[Any]:
    waiting, seen, found = [opened], set(), []
    while waiting:
        group = waiting.pop()
        where = h5py.h5o.get_info(group.id)
        if (where.fileno, where.addr) in seen:
            continue
        seen.add((where.fileno, where.addr))
        if len(seen) > OBJECTS:
            raise Broken(f"has more than {OBJECTS} groups and arrays")
        if isinstance(group, h5py.Dataset):
            _check_array(group)
            found.append(group)
            continue
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Broken(f"has a link {name[:60]!r} to another file or place")
            waiting.append(group[name])
    return found


def _check_array(array: Any) -> None:
    if array.external or array.is_virtual:
        raise Broken(f"takes the values of {array.name[:60]} from another file")
    if array.shape is None or array.dtype.kind not in "biuf":
        raise Broken(f"has {array.name[:60]}, which is no array of numbers")
