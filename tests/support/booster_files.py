"""Files of boosters, written without the libraries: small ones, and those that nobody should serve."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

LEAF, NO_PARENT = -1, 2**31 - 1
Document = dict[str, Any]


def tree(place: int = 0, categories: bool = False) -> Document:
    """A tree of two splits and three leaves over two columns. The second split is by the category 1 of column 1."""
    return {
        "base_weights": [0.0] * 5,
        "categories": [1] if categories else [],
        "categories_nodes": [1] if categories else [],
        "categories_segments": [0] if categories else [],
        "categories_sizes": [1] if categories else [],
        "default_left": [0, 1, 0, 0, 0],
        "id": place,
        "left_children": [1, 3, LEAF, LEAF, LEAF],
        "loss_changes": [0.0] * 5,
        "parents": [NO_PARENT, 0, 0, 1, 1],
        "right_children": [2, 4, LEAF, LEAF, LEAF],
        "split_conditions": [0.5, 0.25, -1.5, 2.0, 0.1],
        "split_indices": [0, 1, 0, 0, 0],
        "split_type": [0, int(categories), 0, 0, 0],
        "sum_hessian": [1.0] * 5,
        "tree_param": {"num_deleted": "0", "num_feature": "2", "num_nodes": "5", "size_leaf_vector": "1"},
    }


def xgboost(objective: str = "reg:squarederror", groups: int = 1, categories: bool = False) -> Document:
    """The document of a booster with one round over two columns, `a` and `b`."""
    classes = groups if objective.startswith("multi:") else 0
    return {
        "learner": {
            "attributes": {},
            "feature_names": ["a", "b"],
            "feature_types": ["float", "c" if categories else "int"],
            "gradient_booster": {
                "model": {
                    "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(groups)},
                    "iteration_indptr": [0, groups],
                    "tree_info": list(range(groups)),
                    "trees": [tree(place, categories) for place in range(groups)],
                },
                "name": "gbtree",
            },
            "learner_model_param": {
                "base_score": f"[{','.join(['5E-1'] * groups)}]",
                "boost_from_average": "1",
                "num_class": str(classes),
                "num_feature": "2",
                "num_target": "1",
            },
            "objective": {"name": objective, "reg_loss_param": {"scale_pos_weight": "1"}},
        },
        "version": [3, 0, 0],
    }


def changed(document: Document, path: str, value: Any) -> bytes:
    """The JSON of the document with another value at a path, as `learner.objective.name`. None: without it."""
    made = copy.deepcopy(document)
    *parts, last = path.replace("MODEL", "learner.gradient_booster.model").replace("TREE", "trees.0").split(".")
    at: Any = made
    for part in parts:
        at = at[int(part)] if isinstance(at, list) else at[part]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return json.dumps(made).encode()


_PLAIN, _CATEGORIES = xgboost(), xgboost(categories=True)
_WHOLE = json.dumps(_PLAIN).encode()


def _chain(depth: int) -> bytes:
    size = 2 * depth + 1
    left, right, parents = [LEAF] * size, [LEAF] * size, [NO_PARENT] * size
    for split in range(depth):
        left[2 * split], right[2 * split] = 2 * split + 1, 2 * split + 2
    numbers = [0] * size
    made = tree() | {"left_children": left, "right_children": right, "parents": parents, "split_indices": numbers}
    made |= {"default_left": numbers, "split_type": numbers, "split_conditions": [0.5] * size}
    return changed(_PLAIN, "MODEL.trees", [made])


XGBOOST: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty"),
    "cut off": (lambda: _WHOLE[:-200], "is not JSON"),
    "a pickle": (lambda: b"\x80\x04N.", "is no file of XGBoost"),
    "a zip archive": (lambda: b"PK\x03\x04" + bytes(100), "is no file of XGBoost"),
    "a booster of LightGBM": (lambda: b"tree\nversion=v4\n", "is no file of XGBoost"),
    "the old binary format": (lambda: b"binf\x00\x00\x00\x3f" + bytes(100), "is no file of XGBoost"),
    "another JSON": (lambda: b'{"a": 1}', "has no `learner` of the right type"),
    "nested deep": (lambda: b'{"learner":' + b"[" * 10**6, "is not JSON"),
    "nested deep in UBJSON": (lambda: b"{L" + bytes(7) + b"\x01a" + b"[#i\x01" * 10**5, "is nested too deep"),
    "a huge array in UBJSON": (lambda: b"{L" + bytes(7) + b"\x01a[$d#L\x7f" + b"\xff" * 7, "is cut off"),
    "an array of nothing in UBJSON": (lambda: b"{L" + bytes(7) + b"\x01a[$Z#L\x00\xff" + bytes(6), "of the type"),
    "a name twice": (lambda: b'{"learner": {}, "learner": {}}', "has a name twice"),
    "a linear booster": (lambda: changed(_PLAIN, "learner.gradient_booster.name", "gblinear"), "only trees"),
    "an objective of its own": (lambda: changed(_PLAIN, "learner.objective.name", "my:own"), "whose answers are not"),
    "no column": (lambda: changed(_PLAIN, "learner.learner_model_param.num_feature", "0"), "has 0 columns"),
    "many columns": (lambda: changed(_PLAIN, "learner.learner_model_param.num_feature", "999999999"), "it may have 1"),
    "a negative count": (lambda: changed(_PLAIN, "learner.learner_model_param.num_class", "-1"), "no whole number"),
    "many classes": (lambda: changed(_PLAIN, "learner.learner_model_param.num_class", "99999999"), "each of 99999999"),
    "more trees than there are": (lambda: changed(_PLAIN, "MODEL.gbtree_model_param.num_trees", "9"), "states 9 trees"),
    "a tree of no group": (lambda: changed(_PLAIN, "MODEL.tree_info", [10**6]), "groups of trees outside"),
    "a base score that is a text": (
        lambda: changed(_PLAIN, "learner.learner_model_param.base_score", "[abc"),
        "no number",
    ),
    "names of other columns": (lambda: changed(_PLAIN, "learner.feature_names", ["a"]), "1 different names"),
    "a column that does not exist": (
        lambda: changed(_PLAIN, "MODEL.TREE.split_indices", [10**8] * 5),
        "columns outside",
    ),
    "a negative column": (lambda: changed(_PLAIN, "MODEL.TREE.split_indices", [-1] * 5), "columns outside"),
    "a child that does not exist": (
        lambda: changed(_PLAIN, "MODEL.TREE.left_children", [10**8, 3, -1, -1, -1]),
        "child does not exist",
    ),
    "a child that is the root": (
        lambda: changed(_PLAIN, "MODEL.TREE.left_children", [1, 0, -1, -1, -1]),
        "child does not exist",
    ),
    "a node with two parents": (
        lambda: changed(_PLAIN, "MODEL.TREE.left_children", [1, 2, -1, -1, -1]),
        "two parents",
    ),
    "a node with one child": (lambda: changed(_PLAIN, "MODEL.TREE.left_children", [1, -1, -1, -1, -1]), "one child"),
    "a deep tree": (lambda: _chain(2000), "deeper than 1024"),
    "an array that is short": (lambda: changed(_PLAIN, "MODEL.TREE.split_conditions", [0.5]), "differ in length"),
    "an array that is missing": (lambda: changed(_PLAIN, "MODEL.TREE.right_children", None), "no `right_children`"),
    "an array that is an object": (lambda: changed(_PLAIN, "MODEL.TREE.left_children", {}), "no `left_children`"),
    "an array of arrays": (lambda: changed(_PLAIN, "MODEL.TREE.left_children", [[1]] * 5), "not all numbers"),
    "texts for numbers": (lambda: changed(_PLAIN, "MODEL.TREE.split_conditions", ["x"] * 5), "not all numbers"),
    "an infinite leaf": (lambda: changed(_PLAIN, "MODEL.TREE.split_conditions", [1e39] * 5), "float32 does not have"),
    "several numbers in a leaf": (
        lambda: changed(_PLAIN, "MODEL.TREE.tree_param.size_leaf_vector", "2"),
        "multi_output_tree",
    ),
    "a negative category": (lambda: changed(_CATEGORIES, "MODEL.TREE.categories", [-5]), "categories outside"),
    "a huge category": (lambda: changed(_CATEGORIES, "MODEL.TREE.categories", [2**31 - 1]), "categories outside"),
    "categories beyond the end": (
        lambda: changed(_CATEGORIES, "MODEL.TREE.categories_sizes", [10**9]),
        "do not follow each other",
    ),
    "a split without its categories": (
        lambda: changed(_CATEGORIES, "MODEL.TREE.categories_nodes", []),
        "one set of categories for each split",
    ),
}
"""Files that are no booster of XGBoost, each with a part of the sentence about it."""

LIGHTGBM_TEXT = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=binary sigmoid:1
feature_names=a b
feature_infos=[0:1] 1:0:2
tree_sizes=300

Tree=0
num_leaves=3
num_cat=1
split_feature=0 1
split_gain=1 1
threshold=0.5 0
decision_type=10 1
left_child=1 -1
right_child=-2 -3
leaf_value=0.1 -1.5 2.25
leaf_weight=1 1 1
leaf_count=9 9 9
internal_value=0 0
internal_weight=1 1
internal_count=9 9
cat_boundaries=0 1
cat_threshold=2
is_linear=0
shrinkage=0.1


end of trees

parameters:
[categorical_feature: 1]

end of parameters

pandas_categorical:[["x", "y", "z"]]
"""


def without(old: str, new: str) -> Callable[[], bytes]:
    """The text of the booster with something else at one place."""
    assert LIGHTGBM_TEXT.count(old) == 1, old
    return lambda: LIGHTGBM_TEXT.replace(old, new).encode()


LIGHTGBM: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty"),
    "cut off": (lambda: LIGHTGBM_TEXT[:400].encode(), "is cut off"),
    "a pickle": (lambda: b"\x80\x04N.", "is no text of a booster"),
    "a zip archive": (lambda: b"PK\x03\x04" + bytes(100), "is no text of a booster"),
    "a booster of XGBoost": (lambda: _WHOLE, "is no text of a booster"),
    "no UTF-8": (lambda: LIGHTGBM_TEXT.replace("a b", "\xff b").encode("latin-1"), "is not UTF-8"),
    "a later version": (without("version=v4", "version=v9"), "has the version 'v9'"),
    "a line twice": (without("label_index=0", "label_index=0\nlabel_index=0"), "does not belong there"),
    "a line that is none": (without("label_index=0", "label index"), "does not belong there"),
    "many columns": (without("max_feature_idx=1", "max_feature_idx=999999999"), "it may have 1 to"),
    "a count that is none": (without("max_feature_idx=1", "max_feature_idx=-7"), "no whole number"),
    "many classes": (without("num_class=1", "num_class=999999999"), "999999999 classes"),
    "many trees in a round": (without("iteration=1", "iteration=999999999"), "has 1 trees for rounds"),
    "an objective of its own": (without("binary sigmoid:1", "mine"), "the objective 'mine'"),
    "an objective with other words": (without("sigmoid:1", "sigmoid:1 device:gpu"), "the objective"),
    "an objective of several classes": (without("binary sigmoid:1", "multiclass num_class:3"), "number of classes"),
    "names of other columns": (without("names=a b", "names=a"), "has 2 columns, 1 different names"),
    "a name twice": (without("names=a b", "names=a a"), "1 different names"),
    "a tree of another number": (without("Tree=0", "Tree=5"), "at the place 0"),
    "many leaves": (without("num_leaves=3", "num_leaves=999999999"), "where 999999999 belong"),
    "no leaf": (without("num_leaves=3", "num_leaves=0"), "without leaves"),
    "a column that does not exist": (without("split_feature=0 1", "split_feature=0 77"), "columns outside"),
    "a negative column": (without("split_feature=0 1", "split_feature=0 -1"), "columns outside"),
    "a child that does not exist": (without("left_child=1 -1", "left_child=99 -1"), "child does not exist"),
    "a leaf that does not exist": (without("left_child=1 -1", "left_child=1 -99"), "child does not exist"),
    "a child that is the root": (without("right_child=-2 -3", "right_child=0 -3"), "child does not exist"),
    "a node that is its own child": (without("right_child=-2 -3", "right_child=1 -3"), "two parents"),
    "a leaf with two parents": (without("right_child=-2 -3", "right_child=-1 -3"), "two parents"),
    "a number that is none": (without("threshold=0.5 0", "threshold=0x5 0"), "no `threshold` of numbers"),
    "a number too many": (without("threshold=0.5 0", "threshold=0.5 0 1"), "where 2 belong"),
    "an infinite leaf": (without("leaf_value=0.1", "leaf_value=1e999"), "float64 does not have"),
    "no leaf values": (without("leaf_value=0.1 -1.5 2.25\n", ""), "no `leaf_value`"),
    "another kind of split": (without("decision_type=10 1", "decision_type=10 99"), "decision types outside"),
    "a set that does not exist": (without("threshold=0.5 0", "threshold=0.5 7"), "sets outside"),
    "sets without categories": (without("num_cat=1", "num_cat=0"), "by categories without categories"),
    "a set beyond the end": (without("cat_boundaries=0 1", "cat_boundaries=0 999"), "do not follow each other"),
    "a set that ends before it begins": (without("cat_boundaries=0 1", "cat_boundaries=5 1"), "do not follow"),
    "linear leaves without columns": (without("is_linear=0", "is_linear=1"), "no `leaf_const`"),
    "names of other categories": (without('[["x", "y", "z"]]', '[["x"], ["y"]]'), "the names of 2"),
    "categories that are no JSON": (without('[["x", "y", "z"]]', "[[["), "is not JSON"),
    "categories that are lists": (without('[["x", "y", "z"]]', '[[["x"]]]'), "neither texts nor whole numbers"),
}
"""Files that are no booster of LightGBM, each with a part of the sentence about it."""
