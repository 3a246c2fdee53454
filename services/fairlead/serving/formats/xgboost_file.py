"""Reads a file of an XGBoost booster, JSON or UBJSON, and checks it before XGBoost gets it.

XGBoost trusts its files: a child, a column or a category that does not exist ends the process, and so does JSON that is
nested deep. So it never gets the file: it gets `document`, which this module writes from what it has read and checked.
Statistics of the training, and whatever else no prediction needs, are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from fairlead import errors
from fairlead.contracts import json_text
from fairlead.serving.formats import trees, ubjson
from fairlead.serving.formats.boosters import Described, Feature
from fairlead.serving.formats.trees import Broken
from fairlead.serving.formats.xgboost_trees import Forest, inner, of, whole

Answers = Literal["score", "binary", "classes", "label"]
OBJECTIVES: Mapping[str, Answers] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *(
                    f"reg:{name}"
                    for name in ("squarederror", "linear", "squaredlogerror", "logistic", "gamma", "tweedie")
                ),
                *(f"reg:{name}" for name in ("pseudohubererror", "absoluteerror", "quantileerror", "expectileerror")),
                *("count:poisson", "survival:cox", "survival:aft", "binary:logitraw"),
                *("rank:pairwise", "rank:ndcg", "rank:map"),
            ),
            "score",
        ),
        "binary:logistic": "binary",
        "binary:hinge": "label",
        "multi:softmax": "label",
        "multi:softprob": "classes",
    }
)
"""What a booster of each objective answers."""
_KINDS: Mapping[str, Literal["number", "integer", "truth", "category"]] = MappingProxyType(
    {"float": "number", "q": "number", "int": "integer", "i": "truth", "c": "category"}
)


@dataclass(frozen=True, slots=True)
class File:
    """`document` is the checked booster as UBJSON. `rounds` says how many of its rounds are asked; 0: all of them."""

    described: Described
    version: tuple[int, ...]
    rounds: int
    document: bytes


def read(path: Path) -> File:
    """Read the file. Raises Invalid if it is none of XGBoost, is damaged, or holds what is not served."""
    try:
        return _file(_parsed(path.read_bytes()))
    except Broken as cause:
        raise errors.Invalid(
            f"format 'xgboost': {path.name} {cause}",
            hint="Save the booster again with XGBoost: booster.save_model('model.ubj'), or 'model.json'.",
        ) from None


def _parsed(data: bytes) -> Any:
    if not data:
        raise Broken("is empty")
    if not data.startswith(b"{"):
        raise Broken("is no file of XGBoost: neither JSON nor UBJSON")
    if data[1:2] in b"iUIlL" and data[1:2]:
        return ubjson.read(data)
    try:
        return json_text.read(data, pairs=_object)
    except ValueError as cause:
        raise Broken(f"is not JSON: {' '.join(str(cause).split())[:120]}") from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Broken("has a name twice in one object")
    return found


def _file(document: Any) -> File:
    learner = inner(document, "learner")
    version = trees.numbers(of(document, "version", list | np.ndarray), np.int64, "a version").tolist()
    booster = inner(learner, "gradient_booster")
    name = of(booster, "name", str)
    if name not in ("gbtree", "dart"):
        raise Broken(f"is of the kind {name[:40]!r}; only trees, `gbtree` and `dart`, are served")
    model = inner(inner(booster, "gbtree") if name == "dart" else booster, "model")
    parameters = inner(learner, "learner_model_param")
    features, classes = whole(parameters, "num_feature"), whole(parameters, "num_class")
    targets = whole(parameters, "num_target", "1")
    if not 1 <= features <= trees.FEATURES:
        raise Broken(f"has {features} columns; it may have 1 to {trees.FEATURES}")
    forest = Forest(model, features, max(classes, targets, 1))
    objective = inner(learner, "objective")
    described = _described(learner, model, features, forest.groups, of(objective, "name", str))
    written: dict[str, Any] = {"model": forest.document, "name": "gbtree"}
    if name == "dart":
        dropped = trees.numbers(of(booster, "weight_drop", list | np.ndarray), np.float32, "weights of trees")
        if len(dropped) != len(forest.document["trees"]):
            raise Broken("has another number of weights than of trees")
        written = {"gbtree": written, "name": "dart", "weight_drop": dropped.tolist()}
    checked = {
        "learner": {
            "attributes": {},
            "feature_names": [],
            "feature_types": [],
            "gradient_booster": written,
            "learner_model_param": {
                "base_score": _base_score(parameters, forest.groups),
                "boost_from_average": "1",
                "num_class": str(classes),
                "num_feature": str(features),
                "num_target": str(targets),
            },
            "objective": _texts(objective),
        },
        "version": [int(part) for part in version],
    }
    return File(described, tuple(version), _rounds(learner, forest), ubjson.write(checked))


def _described(
    learner: Mapping[str, Any], model: Mapping[str, Any], features: int, groups: int, objective: str
) -> Described:
    if (answers := OBJECTIVES.get(objective)) is None:
        raise Broken(f"has the objective {objective[:40]!r}, whose answers are not known here")
    if objective.startswith("multi:") and groups < 2:
        raise Broken("has several classes by its objective, and one by its trees")
    names, types = (_strings(learner, name) for name in ("feature_names", "feature_types"))
    if names and (len(names) != features or len(set(names)) != features):
        raise Broken(f"has {features} columns and {len(set(names))} different names of columns")
    if types and (len(types) != features or not set(types) <= _KINDS.keys()):
        raise Broken("has columns whose types are not those of XGBoost")
    categories = _names_of_categories(model, features)
    columns = tuple(
        Feature(
            names[place] if names else f"f{place}",
            _KINDS[types[place]] if types else "number",
            categories.get(place, ()) if types and types[place] == "c" else (),
        )
        for place in range(features)
    )
    width = 1 if objective == "multi:softmax" else groups
    return Described(columns, bool(names), answers, width, groups, "FP32")


def _names_of_categories(model: Mapping[str, Any], features: int) -> dict[int, tuple[str | int, ...]]:
    """The categories of each column that has some, by its place. Files from XGBoost 3.1 on have them."""
    if "cats" not in model:
        return {}
    listed = of(inner(model, "cats"), "enc", list)
    if listed and len(listed) != features:
        raise Broken("has categories for another number of columns")
    found: dict[int, tuple[str | int, ...]] = {}
    for place, one in enumerate(listed):
        values = of(one, "values", list | np.ndarray)
        if "offsets" in one:
            ends = trees.numbers(one["offsets"], np.int64, "offsets of categories").tolist()
            codes = trees.numbers(values, np.int64, "categories")
            if len(codes) and not (codes.min() >= 0 and codes.max() < 128):
                raise Broken(
                    "has names of categories with letters outside of ASCII, which XGBoost cuts off in its files: train "
                    "with names in ASCII"
                )
            if ends and (ends[0] != 0 or ends[-1] != len(codes) or ends != sorted(ends)):
                raise Broken("has names of categories that are cut off")
            text = codes.astype(np.uint8).tobytes().decode("ascii")
            names: tuple[str | int, ...] = tuple(text[start:end] for start, end in zip(ends, ends[1:], strict=False))
        else:
            numbers = trees.numbers(values, np.float64, "categories")
            if (numbers % 1 != 0).any():
                raise Broken("has categories that are fractions, which are not served: train with texts or numbers")
            names = tuple(map(int, numbers.tolist()))
        if len(set(names)) < len(names):
            raise Broken("has a category twice")
        if names:
            found[place] = names
    return found


def _rounds(learner: Mapping[str, Any], forest: Forest) -> int:
    """How many rounds are asked: those up to the best one, if the training was stopped early, as XGBClassifier does."""
    attributes = learner.get("attributes", {})
    best = attributes.get("best_iteration") if isinstance(attributes, dict) else None
    if not isinstance(best, str) or not best.isascii() or not best.isdigit() or len(best) > 9:
        return 0
    return min(int(best) + 1, forest.rounds)


def _base_score(parameters: Mapping[str, Any], groups: int) -> str:
    text: str = of(parameters, "base_score", str)
    try:
        found = [float(part) for part in text.removeprefix("[").removesuffix("]").split(",")]
    except ValueError:
        raise Broken("has a `base_score` that is no number") from None
    if len(found) not in (1, groups) or not np.isfinite(found).all():
        raise Broken(f"has a `base_score` of {len(found)} numbers for {groups} groups")
    return text


def _texts(value: Any, depth: int = 0) -> dict[str, Any]:
    """The parameters of an objective, all of which are texts. Its tables for training are left out."""
    if depth > 4:
        raise Broken("is nested too deep")
    return {
        name: one if isinstance(one, str) else _texts(one, depth + 1)
        for name, one in value.items()
        if isinstance(one, str | dict)
    }


def _strings(where: Mapping[str, Any], name: str) -> list[str]:
    found = of(where, name, list | np.ndarray) if name in where else []
    if not all(isinstance(one, str) for one in found):
        raise Broken(f"has `{name}` that are no texts")
    return list(found)
