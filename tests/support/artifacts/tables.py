"""Pipelines that were fitted on a table of numbers, texts, booleans, categories and missing values."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import KFold
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

ROWS = 120
CITIES, SIZES = ["Bonn", "Kassel", "Ulm"], ["small", "medium", "large"]
_RANDOM = np.random.default_rng(11)


def _some_missing(values: Any, every: int) -> Any:
    found = pd.Series(values)
    return found.where(np.arange(ROWS) % every != 1)


def _table() -> pd.DataFrame:
    texts = pd.Series(_RANDOM.choice(["bright quiet", "quiet garden", "bright garden flat", "loud"], ROWS))
    return pd.DataFrame(
        {
            "area": _some_missing(_RANDOM.uniform(20, 160, ROWS).round(1), 5),
            "rooms": _RANDOM.integers(1, 7, ROWS),
            "floor": _some_missing(_RANDOM.integers(0, 9, ROWS).astype(float), 7),
            "city": _some_missing(_RANDOM.choice(CITIES, ROWS), 6),
            "size": pd.Categorical(_some_missing(_RANDOM.choice(SIZES, ROWS), 8), categories=SIZES),
            "lift": _RANDOM.random(ROWS) < 0.5,
            "balcony": pd.array(_some_missing((_RANDOM.random(ROWS) < 0.6).astype(float), 9), dtype="boolean"),
            "text": texts,
        }
    )


TABLE = _table()
RENT = (TABLE["area"].fillna(80) * 11 + TABLE["rooms"] * 50 + TABLE["lift"] * 90).to_numpy()
DEAR = np.where(np.median(RENT) < RENT, "dear", "cheap")
BAND = np.digitize(RENT, np.quantile(RENT, [0.3, 0.7]))
TENSORS: Mapping[str, Mapping[str, Any]] = {
    "area": {"datatype": "FP64", "nullable": True},
    "rooms": {"datatype": "INT64"},
    "floor": {"datatype": "INT64", "nullable": True},
    "city": {"datatype": "BYTES", "nullable": True},
    "size": {"datatype": "BYTES", "nullable": True, "choices": SIZES, "column_type": "category"},
    "lift": {"datatype": "BOOL"},
    "balcony": {"datatype": "BOOL", "nullable": True},
    "text": {"datatype": "BYTES"},
}
RENTED = [{"name": "rent", "datatype": "FP64"}]
LABELLED = [
    {"name": "label", "datatype": "BYTES", "choices": ["cheap", "dear"]},
    {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
]


@dataclass(frozen=True)
class Fitted:
    """A fitted pipeline, the table that it was fitted on, and how a manifest declares both."""

    name: str
    estimator: Any
    table: Any
    inputs: Sequence[Mapping[str, Any]]
    outputs: Sequence[Mapping[str, Any]]

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the table, as clients send them."""
        named = {one.get("column", one["name"]): one for one in self.inputs}
        table = self.table
        if not isinstance(table, pd.DataFrame):
            table = pd.DataFrame(table, columns=list(named))
        return [
            {named[name]["name"]: _sent(value, named[name]["datatype"]) for name, value in row.items() if name in named}
            for row in table.to_dict("records")
        ]

    def truth(self, rows: slice) -> list[list[Any]]:
        """The estimator's own answers to rows of the table: one list per row, with the outputs in their order."""
        columns = []
        for output in self.outputs:
            method = output["name"] if output["name"] == "predict_proba" else "predict"
            found = getattr(self.estimator, method)(self.table[rows].copy())
            columns.append(np.stack(found, axis=1).tolist() if isinstance(found, list) else np.asarray(found).tolist())
        return [list(values) for values in zip(*columns, strict=True)]


def _sent(value: Any, datatype: str) -> Any:
    if pd.isna(value):
        return None
    return {"INT64": int, "BOOL": bool, "BYTES": str}.get(datatype, float)(value)


def tensors(names: Sequence[str]) -> list[dict[str, Any]]:
    """The inputs for these columns, the last column first: their order means nothing."""
    return [{"name": name, **TENSORS[name]} for name in reversed(names)]


def _fitted(name: str, estimator: Any, columns: Sequence[str], target: Any, outputs: Any) -> Fitted:
    table = TABLE[list(columns)]
    return Fitted(name, estimator.fit(table, target), table, tensors(columns), outputs)


NUMBERS, WORDS = ["area", "floor"], ["city", "size"]
MIXED = [*NUMBERS, *WORDS, "rooms", "lift"]
ALL_MISSING = ["area", "floor", "city", "size", "balcony"]
IMPUTED = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())


def _prices() -> Any:
    """Not a linear model: the last bit of a sum differs by the place of its numbers in memory."""
    return DecisionTreeRegressor(max_depth=7, random_state=0)


def _classes() -> Any:
    return DecisionTreeClassifier(max_depth=5, random_state=0)


def _dtypes() -> Iterator[Fitted]:
    selected = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
        (SimpleImputer(strategy="median"), make_column_selector(dtype_include="number")),
    )
    yield _fitted("selected by dtype", make_pipeline(selected, _prices()), MIXED, RENT, RENTED)
    categories = FunctionTransformer(pd.DataFrame.select_dtypes, kw_args={"include": "category"})
    by_dtype = make_pipeline(categories, OneHotEncoder(), _prices())
    yield _fitted("a function of the dtypes", by_dtype, MIXED, RENT, RENTED)
    texts = FunctionTransformer(pd.DataFrame.select_dtypes, kw_args={"include": "str"})
    yield _fitted("a function of texts", make_pipeline(texts, OneHotEncoder(), _prices()), MIXED, RENT, RENTED)
    trees = HistGradientBoostingRegressor(max_iter=9, categorical_features="from_dtype")
    yield _fitted("trees, categories from dtype", trees, [*NUMBERS, "size", "lift"], RENT, RENTED)
    classes = HistGradientBoostingClassifier(max_iter=9, categorical_features="from_dtype")
    yield _fitted("tree classes, categories from dtype", classes, [*NUMBERS, "size"], DEAR, LABELLED)
    types = {"area": "Float32", "rooms": "Int64", "text": "string", "balcony": "boolean"}
    extension = TABLE[list(types)].astype(types)
    columns = make_column_transformer((OneHotEncoder(), ["text"]), remainder=SimpleImputer())
    made = make_pipeline(columns, _prices()).fit(extension, RENT)
    inputs = [{**one, "column_type": types[one["name"]]} for one in tensors(list(extension))]
    inputs = [{**one, "datatype": "FP32"} if one["name"] == "area" else one for one in inputs]
    yield Fitted("extension types", made, extension, inputs, RENTED)


def _encoders() -> Iterator[Fitted]:
    hot = make_column_transformer((OneHotEncoder(), WORDS), remainder=IMPUTED)
    yield _fitted("one hot", make_pipeline(hot, _classes()), MIXED, DEAR, LABELLED)
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    columns = make_column_transformer((ordinal, WORDS), remainder="passthrough")
    forest = RandomForestClassifier(5, random_state=0)
    yield _fitted("ordinal", make_pipeline(columns, forest), MIXED, DEAR, LABELLED)
    target = make_column_transformer((TargetEncoder(cv=KFold(3)), WORDS), remainder=IMPUTED)
    yield _fitted("target", make_pipeline(target, _prices()), MIXED, RENT, RENTED)
    bins = make_column_transformer((KBinsDiscretizer(3, quantile_method="linear"), ["rooms"]), (OneHotEncoder(), WORDS))
    yield _fitted("bins", make_pipeline(bins, _prices()), ["rooms", *WORDS, "lift"], RENT, RENTED)
    usual = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), [*WORDS, "lift"]),
        (KNNImputer(), NUMBERS),
    )
    yield _fitted("imputed texts", make_pipeline(usual, _prices()), MIXED, RENT, RENTED)
    words = make_column_transformer((TfidfVectorizer(), "text"), (OneHotEncoder(), ["city"]), remainder=IMPUTED)
    yield _fitted("a text beside numbers", make_pipeline(words, _prices()), ["text", "city", "area"], RENT, RENTED)
    nones = TABLE[["city", "rooms"]].astype({"city": object})
    nones["city"] = pd.Series([None if one != one else one for one in nones["city"]], dtype=object)
    columns = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    inputs = [{"name": "rooms", "datatype": "INT64"}, {**tensors(["city"])[0], "column_type": "object"}]
    inputs[1]["missing"] = "None"
    yield Fitted("None", make_pipeline(columns, _prices()).fit(nones, RENT), nones, inputs, RENTED)


def _several() -> Iterator[Fitted]:
    hot = make_column_transformer((OneHotEncoder(), WORDS), remainder=IMPUTED)
    two = [{"name": "y", "datatype": "FP64", "shape": [-1, 2]}]
    prices = np.column_stack([RENT, RENT**0.5])
    yield _fitted("two prices", make_pipeline(hot, MultiOutputRegressor(_prices())), MIXED, prices, two)
    labels = np.column_stack([DEAR, np.where(TABLE["lift"], "up", "down")])
    both = [
        {"name": "label", "datatype": "BYTES", "shape": [-1, 2]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2, 2]},
    ]
    classes = MultiOutputClassifier(_classes())
    yield _fitted("two labels", make_pipeline(hot, classes), MIXED, labels, both)
    numbers = [{"name": "band", "datatype": "INT64", "choices": [0, 1, 2]}]
    yield _fitted("whole labels", make_pipeline(hot, _classes()), MIXED, BAND, numbers)


def _forms() -> Iterator[Fitted]:
    columns = make_column_transformer((OneHotEncoder(), ["lift", "balcony"]), remainder=IMPUTED)
    yield _fitted("booleans", make_pipeline(columns, _prices()), ["lift", "balcony", "area"], RENT, RENTED)
    imputer = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), WORDS),
        remainder=SimpleImputer(strategy="median"),
    )
    yield _fitted("missing in every column", make_pipeline(imputer, _prices()), ALL_MISSING, RENT, RENTED)
    framed = make_column_transformer((OneHotEncoder(sparse_output=False), WORDS), remainder=SimpleImputer())
    named = make_pipeline(framed.set_output(transform="pandas"), HistGradientBoostingRegressor(max_iter=9))
    yield _fitted("frames between the steps", named, [*NUMBERS, *WORDS], RENT, RENTED)
    dropping = ColumnTransformer([("city", OneHotEncoder(), ["city"]), ("none", "drop", ["size"])])
    made = _fitted("dropped columns", make_pipeline(dropping, _prices()), MIXED, RENT, RENTED)
    yield Fitted(made.name, made.estimator, made.table, tensors(["city"]), RENTED)
    spaced = TABLE[["area", "city"]].rename(columns={"area": "area (m2)", "city": "City, or town"})
    hot = make_column_transformer((OneHotEncoder(), ["City, or town"]), remainder=SimpleImputer())
    inputs = [{**one, "column": name} for one, name in zip(tensors(["city", "area"]), spaced, strict=True)]
    yield Fitted("names with spaces", make_pipeline(hot, _prices()).fit(spaced, RENT), spaced, inputs, RENTED)
    array = TABLE[["city", "area"]].to_numpy(dtype=object)
    by_place = ColumnTransformer([("city", OneHotEncoder(), [0]), ("area", SimpleImputer(), [1])])
    inputs = tensors(["area", "city"])
    yield Fitted("an array of objects", make_pipeline(by_place, _prices()).fit(array, RENT), array, inputs, RENTED)
    holes = TABLE[["area", "floor"]].to_numpy()
    made = make_pipeline(SimpleImputer(add_indicator=True), _prices()).fit(holes, RENT)
    yield Fitted("an array with missing numbers", made, holes, tensors(["floor", "area"]), RENTED)


NAMES = (
    "one hot", "ordinal", "target", "bins", "imputed texts", "a text beside numbers", "None",
    "selected by dtype", "a function of the dtypes", "a function of texts", "trees, categories from dtype",
    "tree classes, categories from dtype", "extension types", "two prices", "two labels", "whole labels", "booleans",
    "missing in every column", "frames between the steps", "dropped columns", "names with spaces",
    "an array of objects", "an array with missing numbers",
)  # fmt: skip


@functools.cache
def tables() -> Mapping[str, Fitted]:
    """All of them, by their names, which are `NAMES`."""
    made = [one for kinds in (_encoders, _dtypes, _several, _forms) for one in kinds()]
    assert tuple(one.name for one in made) == NAMES
    return {one.name: one for one in made}
