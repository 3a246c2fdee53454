"""The trees in a file of XGBoost, checked and written anew: see `xgboost_file`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairlead.serving.formats import trees
from fairlead.serving.formats.trees import Broken

_CATEGORIES = 2**24
"""XGBoost takes no larger code of a category."""
_CATEGORY_BYTES = 2**26
"""What the sets of categories of all trees may need: a set has one bit for each code up to its largest."""
_NO_PARENT = 2**31 - 1


class Forest:
    """The trees of a booster. `groups` are the numbers that a row has, one of which each tree adds to."""

    def __init__(self, model: Mapping[str, Any], features: int, groups: int) -> None:
        parameters = inner(model, "gbtree_model_param")
        stated, count = of(model, "trees", list), whole(parameters, "num_trees")
        self.groups, parallel = groups, max(whole(parameters, "num_parallel_tree", "1"), 1)
        if not stated or count != len(stated):
            raise Broken(f"states {count} trees and has {len(stated)}")
        if any(whole(inner(one, "tree_param"), "size_leaf_vector", "1") > 1 for one in stated):
            raise Broken("has trees with several numbers in a leaf (multi_output_tree), which are not served")
        of_group = trees.numbers(of(model, "tree_info", list | np.ndarray), np.int32, "groups of trees")
        if len(of_group) != count or len(np.unique(of_group)) != groups:
            raise Broken(f"does not have a tree for each of {groups} groups")
        trees.inside(of_group, groups, "groups of trees")
        self.rounds, rest = divmod(count, groups * parallel)
        if rest:
            raise Broken("has a round that is not complete")
        self._bytes_of_categories = 0
        self.document: dict[str, Any] = {
            "gbtree_model_param": {"num_parallel_tree": str(parallel), "num_trees": str(count)},
            "iteration_indptr": list(range(0, count + 1, groups * parallel)),
            "tree_info": of_group.tolist(),
            "trees": [self._tree(place, one, features) for place, one in enumerate(stated)],
        }

    def _tree(self, place: int, tree: Any, features: int) -> dict[str, Any]:
        def array(name: str, dtype: type[np.generic]) -> np.ndarray:
            return trees.numbers(of(tree, name, list | np.ndarray), dtype, f"`{name}`")

        left, right = array("left_children", np.int32), array("right_children", np.int32)
        kept = trees.check(left, right)
        size, is_split = len(left), left != trees.LEAF
        is_category = array("split_type", np.uint8) == 1 if "split_type" in tree else np.zeros(size, bool)
        columns, defaults = array("split_indices", np.int64), array("default_left", np.uint8)
        stated = of(tree, "split_conditions", list | np.ndarray)
        values = trees.numbers(stated, np.float64, "`split_conditions`", finite=False)
        if not (len(is_category) == len(columns) == len(defaults) == len(values) == size):
            raise Broken("has a tree whose arrays differ in length")
        is_category &= is_split
        # Before version 3, a split by categories had NaN there.
        values = trees.numbers(np.where(is_category, 0, values), np.float32, "`split_conditions`")
        columns = np.where(is_split, columns, 0)
        trees.inside(columns, features, "columns")
        categories = self._categories(array, tree, np.flatnonzero(is_category), kept)
        left, right, is_split, is_category = left[kept], right[kept], is_split[kept], is_category[kept]
        left[is_split], right[is_split] = (np.searchsorted(kept, one[is_split]) for one in (left, right))
        parents = np.full(len(kept), _NO_PARENT, dtype=np.int32)
        parents[left[is_split]] = parents[right[is_split]] = np.flatnonzero(is_split)
        nothing = np.zeros(len(kept), dtype=np.float32)
        return {
            "base_weights": nothing,
            **categories,
            "default_left": (defaults[kept] != 0).astype(np.uint8),
            "id": place,
            "left_children": left,
            "loss_changes": nothing,
            "parents": parents,
            "right_children": right,
            "split_conditions": values[kept],
            "split_indices": columns[kept].astype(np.int32),
            "split_type": is_category.astype(np.uint8),
            "sum_hessian": nothing,
            "tree_param": {
                "num_deleted": "0",
                "num_feature": str(features),
                "num_nodes": str(len(kept)),
                "size_leaf_vector": "1",
            },
        }

    def _categories(
        self, array: Any, tree: Mapping[str, Any], splits: np.ndarray, kept: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The sets of categories: for each node that has one, where its codes begin and how many they are."""
        if "categories" not in tree and not len(splits):
            empty = np.zeros(0, dtype=np.int32)
            codes, nodes, starts, sizes = empty, empty, empty.astype(np.int64), empty.astype(np.int64)
        else:
            codes, nodes = array("categories", np.int32), array("categories_nodes", np.int32)
            starts, sizes = array("categories_segments", np.int64), array("categories_sizes", np.int64)
        trees.inside(codes, _CATEGORIES, "categories")
        if not np.array_equal(nodes, splits) or not len(nodes) == len(starts) == len(sizes):
            raise Broken("does not have one set of categories for each split by categories")
        if not np.array_equal(starts, np.cumsum(sizes) - sizes) or sizes.sum() != len(codes) or (sizes < 0).any():
            raise Broken("has sets of categories that do not follow each other")
        for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
            self._bytes_of_categories += int(codes[start : start + size].max(initial=0)) // 8 + 1
        if self._bytes_of_categories > _CATEGORY_BYTES:
            raise Broken(f"has sets of categories that need more than {_CATEGORY_BYTES >> 20} MiB")
        return {
            "categories": codes,
            "categories_nodes": np.searchsorted(kept, nodes).astype(np.int32),
            "categories_segments": starts,
            "categories_sizes": sizes,
        }


def inner(where: Any, name: str) -> dict[str, Any]:
    """An object inside of another one. Raises Broken."""
    found: dict[str, Any] = of(where, name, dict)
    return found


def of(where: Any, name: str, kind: Any) -> Any:
    """A value of this type inside of an object. Raises Broken."""
    found = where.get(name) if isinstance(where, dict) else None
    if not isinstance(found, kind):
        raise Broken(f"is no booster of XGBoost, or is damaged: it has no `{name}` of the right type")
    return found


def whole(where: Mapping[str, Any], name: str, otherwise: str = "") -> int:
    """A count, which XGBoost writes as text. Raises Broken."""
    text = where.get(name, otherwise)
    if not isinstance(text, str) or not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise Broken(f"has a `{name}` that is no whole number below 10^9")
    return int(text)
