"""Reads the text of a LightGBM booster, and checks it before LightGBM gets it.

LightGBM follows the numbers in its files without looking: a child, a column or a category that does not exist ends the
process. So it never gets the file: it gets `text`, which this module writes from what it has read and checked.
Statistics and parameters of the training are not in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from fairlead import errors
from fairlead.contracts import json_text
from fairlead.serving.formats import trees
from fairlead.serving.formats.boosters import Described, Feature
from fairlead.serving.formats.trees import Broken

Answers = Literal["score", "binary", "classes"]
OBJECTIVES: Mapping[str, Answers] = MappingProxyType(
    {
        **dict.fromkeys(("regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape"), "score"),
        **dict.fromkeys(("gamma", "tweedie", "cross_entropy", "cross_entropy_lambda"), "score"),
        **dict.fromkeys(("lambdarank", "rank_xendcg", "custom"), "score"),
        "binary": "binary",
        "multiclass": "classes",
        "multiclassova": "classes",
    }
)
"""What a booster of each objective answers. A function of your own leaves none in the file: the sums of the trees."""
_VERSIONS = ("v2", "v3", "v4")
_NUMBERS = re.compile(r"[-+0-9.eE ]*")
_OR_INFINITE = re.compile(r"(?:[-+]?inf(?= |$)|[-+0-9.eE ])*")
_MAY_BE_INFINITE = frozenset({"threshold"})
"""A split "missing against everything else" has the threshold inf."""
_OBJECTIVE = re.compile(r"(\w+)((?: sqrt| (?:num_class|sigmoid|alpha|c|rho):[-+0-9.eE]{1,40})*)")
_IS_CATEGORY, _MISSING_SHIFT, _MISSING_NONE = 1, 2, 0
_CATEGORIES = re.compile(r"^\[categorical_feature: ([0-9,]+)\]$", re.MULTILINE)
_PANDAS = "\npandas_categorical:"


@dataclass(frozen=True, slots=True)
class File:
    """`text` is the checked booster."""

    described: Described
    text: str


def read(path: Path) -> File:
    """Read the file. Raises Invalid if it is none of LightGBM, is damaged, or holds what is not served."""
    try:
        return _file(path.read_bytes())
    except Broken as cause:
        raise errors.Invalid(
            f"format 'lightgbm': {path.name} {cause}",
            hint="Save the booster again with LightGBM: booster.save_model('model.txt').",
        ) from None


def _file(data: bytes) -> File:
    if not data.startswith(b"tree"):
        raise Broken("is no text of a booster of LightGBM" if data else "is empty")
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise Broken("is not UTF-8") from None
    body, end, rest = text.partition("\nend of trees\n")
    if not end:
        raise Broken("is cut off: it has no line `end of trees`")
    head, *blocks = body.split("\nTree=")
    header = _pairs(head.split("\n")[1:], flags=("average_output",))
    columns = _whole(header, "max_feature_idx") + 1
    if columns > trees.FEATURES:
        raise Broken(f"has {columns} columns; it may have 1 to {trees.FEATURES}")
    if header.get("version") not in _VERSIONS:
        raise Broken(f"has the version {header.get('version', '')[:20]!r}; those that are read are v2 to v4")
    per_round = _whole(header, "num_tree_per_iteration")
    if not 1 <= per_round <= len(blocks) or len(blocks) % per_round or header.get("num_class") != str(per_round):
        raise Broken(f"has {len(blocks)} trees for rounds of {per_round} trees and {header.get('num_class')} classes")
    forest = [_Tree(place, block, columns) for place, block in enumerate(blocks)]
    described, objective = _described(header, rest, forest, columns, per_round)
    written = [f"Tree={place}\n{tree.text}\n\n" for place, tree in enumerate(forest)]
    lines = [
        "tree",
        f"version={header['version']}",
        f"num_class={per_round}",
        f"num_tree_per_iteration={per_round}",
        "label_index=0",
        f"max_feature_idx={columns - 1}",
        *([f"objective={objective}"] if objective else []),
        *(["average_output"] if "average_output" in header else []),
        f"feature_names={' '.join(f'Column_{place}' for place in range(columns))}",
        f"feature_infos={header['feature_infos']}",
        f"tree_sizes={' '.join(str(len(one)) for one in written)}",
    ]
    return File(described, "\n".join(lines) + "\n\n" + "".join(written) + "end of trees\n")


class _Tree:
    """One tree. `missing` has the columns that it splits as numbers, each with how it takes a missing value."""

    def __init__(self, place: int, block: str, columns: int) -> None:
        number, *lines = block.split("\n")
        if number != str(place):
            raise Broken(f"has the tree {number[:20]!r} at the place {place}")
        self._given, self._columns = _pairs(lines), columns
        self._kept: dict[str, str] = {}
        self.missing: set[tuple[int, int]] = set()
        leaves, categories = _whole(self._given, "num_leaves"), _whole(self._given, "num_cat")
        if not leaves:
            raise Broken("has a tree without leaves")
        self._kept |= {"num_leaves": str(leaves), "num_cat": str(categories)}
        self._array("leaf_value", leaves, np.float64)
        if leaves > 1:
            self._splits(leaves, categories)
        if self._given.get("is_linear", "0") == "1":
            self._linear(leaves)
        else:
            self._kept["is_linear"] = "0"
        self._array("shrinkage", 1, np.float64)
        self.text = "\n".join(f"{name}={value}" for name, value in self._kept.items())

    def _array(self, name: str, count: int, dtype: type[np.generic]) -> np.ndarray:
        """The numbers of a line, whose text is kept. Raises Broken unless there are `count`."""
        found = _parsed(name, self._given.get(name), dtype)
        if len(found) != count:
            raise Broken(f"has {len(found)} numbers in `{name}`, where {count} belong")
        self._kept[name] = " ".join(self._given[name].split())
        return found

    def _splits(self, leaves: int, categories: int) -> None:
        splits = leaves - 1
        column = self._array("split_feature", splits, np.int32)
        trees.inside(column, self._columns, "columns")
        threshold, decision = (
            self._array("threshold", splits, np.float64),
            self._array("decision_type", splits, np.int8),
        )
        trees.inside(decision, 16, "decision types")
        left, right = (self._array(name, splits, np.int32).astype(np.int64) for name in ("left_child", "right_child"))
        if min(left.min(), right.min()) < -leaves:
            raise Broken("has a node whose child does not exist")
        at_leaves = np.full(leaves, trees.LEAF)
        # A leaf is ~number there; behind the splits here.
        trees.check(*(np.concatenate((np.where(c < 0, splits + ~c, c), at_leaves)) for c in (left, right)))
        is_category = (decision & _IS_CATEGORY) != 0
        if not np.isfinite(threshold[is_category]).all():
            raise Broken("has a set of categories without a number")
        self.missing = {
            (int(at), int(kind) >> _MISSING_SHIFT)
            for at, kind in zip(column[~is_category], decision[~is_category], strict=True)
        }
        if not categories:
            if is_category.any():
                raise Broken("has a split by categories without categories")
            return
        trees.inside(
            trees.numbers(np.floor(threshold[is_category]).astype(np.int64), np.int64, "sets"), categories, "sets"
        )
        bounds = self._array("cat_boundaries", categories + 1, np.int32)
        words = _parsed("cat_threshold", self._given.get("cat_threshold"), np.uint32)
        if bounds[0] != 0 or bounds[-1] != len(words) or (np.diff(bounds) < 1).any():
            raise Broken("has sets of categories that do not follow each other")
        self._array("cat_threshold", len(words), np.uint32)

    def _linear(self, leaves: int) -> None:
        """The linear models in the leaves: for each leaf, how many columns it has, and then all columns and factors."""
        self._kept["is_linear"] = "1"
        self._array("leaf_const", leaves, np.float64)
        sizes = self._array("num_features", leaves, np.int32)
        if sizes.min() < 0:
            raise Broken("has a leaf with less than no columns")
        trees.inside(self._array("leaf_features", int(sizes.sum()), np.int32), self._columns, "columns of leaves")
        self._array("leaf_coeff", int(sizes.sum()), np.float64)


def _described(
    header: Mapping[str, str], rest: str, forest: Sequence[_Tree], columns: int, per_round: int
) -> tuple[Described, str]:
    names, infos = header.get("feature_names", "").split(" "), header.get("feature_infos", "").split(" ")
    if len(names) != columns or len(infos) != columns or len(set(names)) != columns:
        raise Broken(f"has {columns} columns, {len(set(names))} different names and {len(infos)} ranges of columns")
    objective = header.get("objective", "custom")
    if (parts := _OBJECTIVE.fullmatch(objective)) is None or parts[1] not in OBJECTIVES:
        raise Broken(f"has the objective {objective[:40]!r}, whose answers are not known here")
    if "num_class:" in parts[2] and f" num_class:{per_round}" not in parts[2]:
        raise Broken("has another number of classes in its objective than in its trees")
    answers = OBJECTIVES[parts[1]]
    if (answers == "classes") != (per_round > 1) and objective != "custom":
        raise Broken(f"has the objective {parts[1]!r} and {per_round} trees in each round")
    # Without missing values in the training, LightGBM takes one for 0.
    is_zero = {at for tree in forest for at, kind in tree.missing if kind == _MISSING_NONE}
    categories = _categories(rest, infos)
    features = tuple(
        Feature(
            name,
            "category" if place in categories else "number",
            categories.get(place, ()),
            place not in is_zero,
        )
        for place, name in enumerate(names)
    )
    is_named = names != [f"Column_{place}" for place in range(columns)]
    return Described(
        features, is_named, answers, per_round, per_round, "FP64"
    ), "" if objective == "custom" else objective


def _categories(rest: str, infos: Sequence[str]) -> dict[int, tuple[str | int, ...]]:
    """The columns of categories, each with the categories of the table it was trained on, or () if it had codes."""
    of_codes = [place for place, info in enumerate(infos) if info != "none" and not info.startswith("[")]
    if (stated := _CATEGORIES.search(rest)) is not None:
        places = sorted({int(one) for one in stated[1].split(",") if one and len(one) < 10})
    else:
        places = of_codes
    if not set(of_codes) <= set(places) or (places and places[-1] >= len(infos)):
        raise Broken("has other columns of categories in its parameters than in its trees")
    _, found, line = rest.rpartition(_PANDAS)
    try:
        tables = (json_text.read(line.strip().partition("\n")[0]) or []) if found else []
    except ValueError:
        raise Broken("has a line `pandas_categorical` that is not JSON") from None
    if not isinstance(tables, list) or not all(isinstance(one, list) for one in tables):
        raise Broken("has a line `pandas_categorical` that has no lists of categories")
    if not tables:
        return dict.fromkeys(places, ())
    if len(tables) != len(places):
        raise Broken(f"has {len(places)} columns of categories, and the names of {len(tables)}")
    return {place: tuple(_plain(one) for one in values) for place, values in zip(places, tables, strict=True)}


def _plain(value: object) -> str | int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Broken("has categories that are neither texts nor whole numbers, which are not served")
    return value


def _pairs(lines: Sequence[str], flags: Sequence[str] = ()) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in filter(None, lines):
        name, sign, value = line.partition("=")
        if name in found or not (sign or name in flags):
            raise Broken(f"has the line {line[:40]!r}, which does not belong there")
        found[name] = value
    return found


def _parsed(name: str, text: str | None, dtype: type[np.generic]) -> np.ndarray:
    may_be_infinite = name in _MAY_BE_INFINITE
    if text is None or (_OR_INFINITE if may_be_infinite else _NUMBERS).fullmatch(text) is None:
        raise Broken(f"is damaged: a tree has no `{name}` of numbers")
    is_float = np.dtype(dtype).kind == "f"
    try:
        found = np.array(text.split(), dtype=np.float64 if is_float else np.int64)
    except (ValueError, OverflowError):
        raise Broken(f"is damaged: a tree has no `{name}` of numbers") from None
    return trees.numbers(found, dtype, f"`{name}`", finite=not may_be_infinite)


def _whole(of: Mapping[str, str], name: str) -> int:
    text = of.get(name, "")
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise Broken(f"has a `{name}` that is no whole number below 10^9")
    return int(text)
