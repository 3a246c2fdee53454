"""Checks that the arrays of a decision tree are a tree: the libraries of boosters follow them without looking.

XGBoost and LightGBM end the process, or never return, at a child that does not exist, or that is its own ancestor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

DEPTH = 1024
"""The deepest tree: XGBoost walks over a tree by recursion when it is loaded."""
FEATURES = 2**18
"""The most features: each thread of XGBoost keeps 64 rows of them."""
LEAF = -1


class Broken(Exception):
    """The file is no booster, or none that can be computed. The text goes on after "it", as "is cut off"."""


def numbers(values: Any, dtype: type[np.generic] | str, what: str, *, finite: bool = True) -> np.ndarray:
    """The values as an array of one dimension. Raises Broken unless each is a number that the type has.

    `finite`: NaN and infinity are refused too.
    """
    wanted = np.dtype(dtype)
    try:
        found = np.asarray(values) if len(values) else np.zeros(0, wanted)
        if found.ndim != 1 or found.dtype.kind not in "biuf":
            raise ValueError
        if wanted.kind in "iu" and found.dtype.kind == "f":
            raise ValueError
        with np.errstate(all="ignore"):
            made = found.astype(wanted)
            is_kept = not finite or np.isfinite(made).all() if wanted.kind == "f" else (made == found).all()
    except (TypeError, ValueError, OverflowError):
        raise Broken(f"has {what} that are not all numbers of the type {wanted.name}") from None
    if not is_kept:
        raise Broken(f"has {what} that {wanted.name} does not have")
    return made


def inside(found: np.ndarray, limit: int, what: str) -> None:
    """Raise Broken unless every number is at least 0 and less than `limit`."""
    if len(found) and not (found.min() >= 0 and found.max() < limit):
        raise Broken(f"has {what} outside of 0 to {limit - 1}")


def check(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The nodes that rows reach, in their order, by the children of all nodes; LEAF at a leaf. The root is 0.

    Raises Broken unless they are a tree that is not too deep. Other nodes are leaves, as pruning leaves them.
    """
    if not len(left) or len(left) != len(right):
        raise Broken("has a tree whose arrays differ in length")
    is_leaf = left == LEAF
    if not np.array_equal(is_leaf, right == LEAF):
        raise Broken("has a node with one child")
    children = np.concatenate((left[~is_leaf], right[~is_leaf]))
    if len(children) and not (children.min() >= 1 and children.max() < len(left)):
        raise Broken("has a node whose child does not exist")
    # Each node has one parent and the root has none: then no walk from the root returns to a node.
    if len(children) and np.bincount(children).max() > 1:
        raise Broken("has a node with two parents")
    level = np.zeros(1, dtype=np.int64)
    levels = [level]
    for _ in range(DEPTH):
        level = level[~is_leaf[level]]
        if not len(level):
            reached = np.sort(np.concatenate(levels))
            if len(children) >= len(reached):
                raise Broken("has splits that no row reaches")
            return reached
        level = np.concatenate((left[level], right[level]))
        levels.append(level)
    raise Broken(f"has a tree deeper than {DEPTH}")
