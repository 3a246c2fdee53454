"""What a fitted estimator tells of its columns: the values that its encoders know, and which columns are texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

_INNER = ("best_estimator_", "regressor_", "estimator_")
"""Where a search or a wrapper has the estimator that it fitted."""
_OF_FITTED = ("_CalibratedClassifier", "FrozenEstimator")
"""Classes whose `estimator` was fitted before they got it. That of others is what a wrapper fits copies of."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one column. `values` are those of an encoder, without a missing one."""

    is_text: bool = False
    is_category: bool = False
    values: tuple[Any, ...] = ()
    has_none: bool = False

    def joined(self, other: Facts) -> Facts:
        """Both together; the values of the first one that has any."""
        return Facts(
            self.is_text or other.is_text,
            self.is_category or other.is_category,
            self.values or other.values,
            self.has_none or other.has_none,
        )


def takes_texts(estimator: Any) -> bool:
    """Whether the estimator takes a list of texts, as a vectorizer does, and not columns."""
    while inside := _steps(estimator) or [one for one, _ in _wrapped(estimator, ())]:
        estimator = inside[0]
    return _is_of_texts(estimator)


def facts(estimator: Any, count: int) -> dict[int, Facts]:
    """What the estimator tells, by the place of the column. Nothing of a column that it tells nothing of."""
    found: dict[int, Facts] = {}
    for place, fact in _walk(estimator, range(count)):
        found[place] = found[place].joined(fact) if place in found else fact
    return found


def _walk(step: Any, columns: Sequence[int]) -> Iterator[tuple[int, Facts]]:
    if steps := _steps(step):
        for one in steps:
            yield from _walk(one, columns)
            if not _keeps_columns(one):
                return
    elif parts := list(_parts(step, columns)):
        for part, chosen in parts:
            yield from _walk(part, chosen)
    elif getattr(step, "is_categorical_", None) is not None:  # trees with categories
        is_category = getattr(step, "categorical_features", None) == "from_dtype"
        for place, fact in _walk(getattr(step, "_preprocessor", None), columns):
            yield place, replace(fact, is_category=is_category and bool(fact.values))
    else:
        yield from _of_a_leaf(step, columns)


def _parts(step: Any, columns: Sequence[int]) -> Iterator[tuple[Any, Sequence[int]]]:
    """The fitted estimators inside of this one, each with the columns that it gets."""
    if hasattr(step, "transformers_"):
        names = [str(name) for name in getattr(step, "feature_names_in_", ())]
        for _, transformer, chosen in step.transformers_:
            if not isinstance(transformer, str):
                yield transformer, [columns[place] for place in _places(chosen, names, len(columns))]
    for _, transformer in getattr(step, "transformer_list", None) or ():
        yield transformer, columns
    yield from _wrapped(step, columns)


def _wrapped(step: Any, columns: Sequence[int]) -> Iterator[tuple[Any, Sequence[int]]]:
    """The estimators that a search, a calibration, a vote, a stack or a bag has fitted, each with its columns."""
    calibrated = getattr(step, "calibrated_classifiers_", None) or ()
    several = getattr(step, "estimators_", None)
    of_each = getattr(step, "estimators_features_", None)
    for place, one in enumerate([*calibrated, *(several if isinstance(several, list) else ())]):
        if not isinstance(one, str):
            chosen = None if of_each is None else of_each[place]
            yield one, columns if chosen is None or not columns else [columns[index] for index in chosen]
    for name in ("estimator",) if type(step).__name__ in _OF_FITTED else _INNER:
        if hasattr(step, name):
            yield getattr(step, name), columns


def _of_a_leaf(step: Any, columns: Sequence[int]) -> Iterator[tuple[int, Facts]]:
    categories = getattr(step, "categories_", None)
    if isinstance(categories, list) and len(categories) == len(columns):
        for place, known in zip(columns, categories, strict=True):
            array = np.asarray(known)
            # Times in nanoseconds would become integers.
            listed = (array.astype(f"{array.dtype.kind}8[us]") if array.dtype.kind in "mM" else array).tolist()
            values = tuple(value for value in listed if value is not None and value == value)
            is_text = any(isinstance(value, str) for value in values)
            yield place, Facts(is_text, values=values, has_none=None in listed)
    statistics = getattr(step, "statistics_", None)
    if isinstance(statistics, np.ndarray) and len(statistics) == len(columns):
        for place, value in zip(columns, statistics.tolist(), strict=True):
            yield place, Facts(is_text=isinstance(value, str))
    if len(columns) == 1 and _is_of_texts(step):
        yield columns[0], Facts(is_text=True)
    yield from _of_lightgbm(getattr(step, "booster_", step), columns)


def _of_lightgbm(booster: Any, columns: Sequence[int]) -> Iterator[tuple[int, Facts]]:
    """The categories of a table that LightGBM has kept: one list for each column that its trees take as categories."""
    kept = getattr(booster, "pandas_categorical", None)
    if not kept or not hasattr(booster, "dump_model"):
        return
    stated = booster.dump_model(num_iteration=1)
    places = [stated["feature_names"].index(name) for name, info in stated["feature_infos"].items() if info["values"]]
    if len(places) == len(kept):  # else a column had one value only, and no tree asks for it
        for place, values in zip(sorted(places), kept, strict=True):
            is_text = any(isinstance(value, str) for value in values)
            yield columns[place], Facts(is_text, is_category=True, values=tuple(values))


def _steps(estimator: Any) -> list[Any]:
    """The steps of a pipeline that do something."""
    steps = getattr(estimator, "steps", None)
    return [step for _, step in steps if step is not None and step != "passthrough"] if isinstance(steps, list) else []


def _keeps_columns(step: Any) -> bool:
    """Whether the first columns of the step's result are those that it got, as of an imputer or a scaler."""
    kinds = {kind.__name__ for kind in type(step).__mro__}
    return bool(kinds & {"OneToOneFeatureMixin", "_BaseImputer"})


def _is_of_texts(step: Any) -> bool:
    tags = getattr(step, "__sklearn_tags__", None)
    if tags is None or isinstance(step, type):
        return False
    takes = tags().input_tags
    return bool(takes.string and not takes.two_d_array)


def _places(chosen: Any, names: Sequence[str], count: int) -> list[int]:
    """The places of the columns that a ColumnTransformer gives to one of its transformers."""
    if isinstance(chosen, slice):
        return list(range(count))[chosen]
    listed = [chosen] if isinstance(chosen, str | int) or not isinstance(chosen, Iterable) else list(chosen)
    if listed and all(isinstance(one, bool | np.bool_) for one in listed):
        return [place for place, is_chosen in enumerate(listed) if is_chosen]
    return [names.index(one) if isinstance(one, str) else int(one) % count for one in listed]
