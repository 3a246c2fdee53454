"""Trained artifacts of many kinds, each with rows and the library's own answers to them.

`frame` kinds are fitted on a DataFrame and declared with their inputs in another order, `array` kinds on an array.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from support.artifacts.tables import RENT, Fitted, tables
from support.artifacts.tables import TABLE as FLATS
from support.artifacts.tables import tensors as columns_of_table

ROWS = 20
COLUMNS = ("age", "income", "years")
Rows = Sequence[Mapping[str, Any]]
_RANDOM = np.random.default_rng(7)
TABLE = np.column_stack(
    [_RANDOM.integers(18, 90, 240), _RANDOM.normal(50_000, 15_000, 240), _RANDOM.exponential(5, 240)]
).astype(float)
FRAME = pd.DataFrame(TABLE, columns=list(COLUMNS))
RISK = (TABLE[:, 0] < 40) ^ (TABLE[:, 1] > 55_000)
LABELS = np.where(RISK, "young", "old")
BAND = np.digitize(TABLE[:, 2], [2, 6])
PRICE = TABLE @ [10.0, 0.01, 3.0]
WORDS = ["good", "bad", "fine", "awful", "nice", "poor", "great", "weak"]
TEXTS = [" ".join(_RANDOM.choice(WORDS, 5)) for _ in range(240)]
PRAISE = [
    "praise" if sum(word in ("good", "fine", "nice", "great") for word in text.split()) > 2 else "no" for text in TEXTS
]


@dataclass(frozen=True)
class Kind:
    """One artifact: how it is declared, its estimator, rows as clients send them, and the right answers to them."""

    name: str
    stated: Mapping[str, Any]
    estimator: Any
    rows: Rows
    truth: Sequence[Any]
    """One list per row: the values of the outputs in their order."""
    code: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


def tensors(*names: str, datatype: str = "FP64", shape: Sequence[int] = ()) -> list[dict[str, Any]]:
    """Tensors of one kind."""
    return [{"name": name, "datatype": datatype, "shape": [-1, *shape]} for name in names]


LABEL = tensors("label", datatype="BYTES")
PROBABILITY = [*LABEL, *tensors("predict_proba", shape=[2])]
NUMBER = tensors("y")
INPUTS = tensors(*COLUMNS)
SHUFFLED = tensors("years", "age", "income")


def as_rows(table: Any = FRAME) -> Rows:
    """The first rows of a table, as JSON objects."""
    return [{name: value for name, value in row.items()} for row in table[:ROWS].to_dict("records")]


def answers(estimator: Any, outputs: Sequence[Mapping[str, Any]], given: Any) -> list[list[Any]]:
    """The library's own answers to the first rows of what it was fitted on."""
    known = ("predict_proba", "transform", "decision_function")
    columns = []
    for output in outputs:
        found = getattr(estimator, output["name"] if output["name"] in known else "predict")(given[:ROWS].copy())
        found = np.stack(found, axis=1) if isinstance(found, list) else found
        found = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
        columns.append(found.tolist())
    return [list(values) for values in zip(*columns, strict=True)]


def numeric(name: str, estimator: Any, target: Any, outputs: Any, **more: Any) -> Iterator[Kind]:
    """The same estimator fitted on a DataFrame and declared in another order, and fitted on an array."""
    for form, given, inputs in (("frame", FRAME, SHUFFLED), ("array", TABLE, INPUTS)):
        made = estimator().fit(given.copy(), target)  # a step may change its argument in place
        stated = {"format": "sklearn", "inputs": inputs, "outputs": outputs}
        yield Kind(f"{name}, {form}", stated, made, as_rows(), answers(made, outputs, given), more=more)


def classifiers() -> Iterator[Kind]:
    """Classifiers and what is built of them."""
    trees = [("a", DecisionTreeClassifier(max_depth=4, random_state=0)), ("b", GaussianNB())]
    scaled = [("scaled", StandardScaler(), ["income", "age"])]
    kinds: dict[str, Callable[[], Any]] = {
        "tree": lambda: DecisionTreeClassifier(random_state=0),
        "forest": lambda: RandomForestClassifier(n_estimators=10, random_state=0),
        "histogram boosting": lambda: HistGradientBoostingClassifier(max_iter=15),
        "naive Bayes": GaussianNB,
        "neighbours": KNeighborsClassifier,
        "bagging": lambda: BaggingClassifier(n_estimators=5, random_state=0),
        "voting": lambda: VotingClassifier(trees, voting="soft"),
        "stacking": lambda: StackingClassifier(trees, cv=2),
        "calibrated": lambda: CalibratedClassifierCV(make_pipeline(StandardScaler(), SVC()), cv=2),
        "grid search": lambda: GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [2, 4]}, cv=2),
        "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
        "pipeline that scales in place": lambda: make_pipeline(StandardScaler(copy=False), LogisticRegression()),
        "pipeline with passthrough": lambda: make_pipeline("passthrough", MinMaxScaler(), LogisticRegression()),
        "lightgbm": lambda: importlib.import_module("lightgbm").LGBMClassifier(n_estimators=9, verbose=-1),
    }
    for name, estimator in kinds.items():
        yield from numeric(name, estimator, LABELS, PROBABILITY)
    columns = make_pipeline(ColumnTransformer(scaled, remainder="passthrough"), DecisionTreeClassifier(random_state=0))
    columns.fit(FRAME, LABELS)
    stated = {"format": "sklearn", "inputs": SHUFFLED, "outputs": PROBABILITY}
    yield Kind("columns by name, frame", stated, columns, as_rows(), answers(columns, PROBABILITY, FRAME))


def several_outputs() -> Iterator[Kind]:
    """Estimators with several outputs, whose probabilities are a list of arrays."""
    two = np.column_stack([LABELS, np.where(TABLE[:, 2] > 4, "long", "short")])
    three = np.column_stack([RISK, TABLE[:, 2] > 4, TABLE[:, 0] > 60]).astype(int)
    uneven = np.column_stack([RISK.astype(int), BAND])
    shape = {len(target[0]): tensors("predict_proba", shape=[len(target[0]), 2]) for target in (two, three)}
    both = [*tensors("label", datatype="BYTES", shape=[2]), *shape[2]]
    yield from numeric("forest, two outputs", lambda: RandomForestClassifier(9, random_state=0), two, both)
    yield from numeric("forest, three outputs", lambda: RandomForestClassifier(9, random_state=0), three, shape[3])
    yield from numeric("neighbours, two outputs", KNeighborsClassifier, two, both)
    each = [*tensors("label", datatype="INT64", shape=[3]), *shape[3]]
    yield from numeric("one classifier per output", lambda: MultiOutputClassifier(GaussianNB()), three, each)
    chain = [*tensors("label", datatype="FP64", shape=[3]), *tensors("predict_proba", shape=[3])]
    yield from numeric("chain", lambda: ClassifierChain(GaussianNB()), three, chain)
    pair = tensors("y", shape=[2])
    prices = np.column_stack([PRICE, TABLE[:, 2]])
    yield from numeric("trees, two prices", lambda: ExtraTreesRegressor(9, random_state=0), prices, pair)
    yield from numeric("ridge, two prices", Ridge, prices, pair)
    boosted = MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=9))
    yield from numeric("one regressor per output", lambda: boosted, prices, pair)
    forest = RandomForestClassifier(5, random_state=0).fit(FRAME, uneven)
    stated = {"format": "sklearn", "inputs": SHUFFLED, "outputs": tensors("predict_proba", shape=[2, 2])}
    yield Kind("forest, outputs with two and three classes", stated, forest, as_rows(), [[None]] * ROWS)


def regressors() -> Iterator[Kind]:
    """Regressors, boosters, numbers of classes, and shapes that are not as declared."""
    yield from numeric("linear", LinearRegression, PRICE, NUMBER)
    yield from numeric("forest of prices", lambda: RandomForestRegressor(9, random_state=0), PRICE, NUMBER)
    log = TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1)
    yield from numeric("transformed target", lambda: log, np.abs(PRICE), NUMBER)
    yield from numeric("one column of prices", LinearRegression, PRICE[:, None], tensors("y", shape=[1]))
    yield from numeric(
        "classes that are numbers", lambda: DecisionTreeClassifier(random_state=0), BAND, tensors("y", datatype="INT64")
    )
    yield from numeric(
        "classes that are booleans", lambda: DecisionTreeClassifier(random_state=0), RISK, tensors("y", datatype="BOOL")
    )
    boosting = importlib.import_module("lightgbm")
    for form, given, inputs in (("frame", FRAME, SHUFFLED), ("array", TABLE, INPUTS)):
        booster = boosting.train({"verbose": -1}, boosting.Dataset(given, PRICE), 9)
        stated = {"format": "pickle", "inputs": inputs, "outputs": NUMBER}
        yield Kind(f"booster, {form}", stated, booster, as_rows(), answers(booster, NUMBER, given))
    line = LinearRegression().fit(FRAME, PRICE)
    truth = answers(line, NUMBER, FRAME)
    wrong = {"a column that is missing": SHUFFLED[:2], "a column with another name": [*SHUFFLED[:2], *tensors("pay")]}
    for name, inputs in wrong.items():
        rows = [{one["name"]: row.get(one["name"], row["income"]) for one in inputs} for row in as_rows()]
        yield Kind(name, {"format": "sklearn", "inputs": inputs, "outputs": NUMBER}, line, rows, truth)
    plain = LinearRegression().fit(TABLE, PRICE)
    two = {"format": "sklearn", "inputs": INPUTS[:2], "outputs": NUMBER}
    yield Kind("a column too few, array", two, plain, [{n: row[n] for n in COLUMNS[:2]} for row in as_rows()], truth)
    whole = {"format": "sklearn", "inputs": tensors("x", shape=[3]), "outputs": NUMBER}
    yield Kind("one tensor, frame", whole, line, [{"x": row} for row in TABLE[:ROWS].tolist()], truth)
    pair = LinearRegression().fit(TABLE, np.column_stack([PRICE, PRICE]))
    stated = {"format": "sklearn", "inputs": INPUTS, "outputs": NUMBER}
    yield Kind("two prices, declared as one", stated, pair, as_rows(), truth)


def types() -> Iterator[Kind]:
    """Columns of integers and booleans, whose types matter to a step of the pipeline."""
    frame = pd.DataFrame({"shop": BAND, "open": RISK, "age": TABLE[:, 0]})
    texts = make_pipeline(
        FunctionTransformer(pd.DataFrame.astype, kw_args={"dtype": str}), OneHotEncoder(handle_unknown="ignore")
    )
    columns = ColumnTransformer([("texts", texts, ["shop", "open"])], remainder="passthrough")
    made = make_pipeline(columns, LinearRegression()).fit(frame, PRICE)
    inputs = [*tensors("age"), *tensors("open", datatype="BOOL"), *tensors("shop", datatype="INT64")]
    stated = {"format": "sklearn", "inputs": inputs, "outputs": NUMBER}
    yield Kind("integers that become texts, frame", stated, made, as_rows(frame), answers(made, NUMBER, frame))
    whole = pd.DataFrame({"rooms": BAND + 1, "floor": BAND * 2})
    trees = HistGradientBoostingRegressor(max_iter=9, categorical_features=["floor"]).fit(whole, PRICE)
    stated = {"format": "sklearn", "inputs": tensors("floor", "rooms", datatype="INT64"), "outputs": NUMBER}
    yield Kind("integers that are categories, frame", stated, trees, as_rows(whole), answers(trees, NUMBER, whole))


def texts() -> Iterator[Kind]:
    """Pipelines that start with a text."""
    rows = [{"text": text} for text in TEXTS[:ROWS]]
    stated = {"format": "sklearn", "inputs": tensors("text", datatype="BYTES"), "outputs": PROBABILITY}
    pipelines = {
        "tf-idf": make_pipeline(TfidfVectorizer(), LogisticRegression()),
        "counts": make_pipeline(CountVectorizer(), MultinomialNB()),
        "hashes": make_pipeline(HashingVectorizer(n_features=64), LogisticRegression()),
        "singular values": make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0), LogisticRegression()),
    }
    for name, pipeline in pipelines.items():
        pipeline.fit(TEXTS, PRAISE)
        yield Kind(f"{name} of a text", stated, pipeline, rows, answers(pipeline, PROBABILITY, TEXTS))
    frame = pd.DataFrame({"text": TEXTS})
    column = make_pipeline(ColumnTransformer([("words", TfidfVectorizer(), "text")]), LogisticRegression())
    column.fit(frame, PRAISE)
    yield Kind("tf-idf of a column, frame", stated, column, rows, answers(column, PROBABILITY, frame))
    sparse = TfidfVectorizer().fit(TEXTS)
    outputs = tensors("transform", shape=[len(WORDS)])
    stated = {**stated, "outputs": outputs}
    yield Kind("a sparse matrix", stated, sparse, rows, answers(sparse, outputs, TEXTS))


def transformers() -> Iterator[Kind]:
    """Estimators whose answers are not predictions."""
    for name, made in {
        "a frame as the answer": StandardScaler().set_output(transform="pandas"),
        "an array as the answer": StandardScaler(),
        "components": PCA(3),
    }.items():
        yield from numeric(name, lambda made=made: made, None, tensors("transform", shape=[3]))
    clusters = [*tensors("cluster", datatype="INT64"), *tensors("transform", shape=[4])]
    yield from numeric("clusters", lambda: KMeans(4, random_state=0, n_init=2), None, clusters)
    outliers = [*tensors("side", datatype="INT64"), *tensors("decision_function")]
    yield from numeric("outliers", lambda: IsolationForest(n_estimators=9, random_state=0), None, outliers)


CLASS = """
import joblib
import fairlead
from pydantic import BaseModel, Field

class Row(BaseModel):
{fields}

class Answer(BaseModel):
    y: float

class M(fairlead.Model[Row, Answer]):
    def load(self, artifact):
        self.estimator = joblib.load(artifact)

{method}
"""
BY_COLUMNS = """    def predict_columns(self, batch):
        return [Answer(y=y) for y in self.estimator.predict(batch)]
"""
BY_FRAME = """    def predict_frame(self, frame):
        return [Answer(y=y) for y in self.estimator.predict(frame[list(self.estimator.feature_names_in_)])]
"""


def classes() -> Iterator[Kind]:
    """Models with a class: an array in the right and in the wrong order, texts, and nulls."""
    stated = {"format": "sklearn", "entry": "model:M"}
    trees = RandomForestRegressor(9, random_state=0)
    named, plain = RandomForestRegressor(9, random_state=0).fit(FRAME, PRICE), trees.fit(TABLE, PRICE)
    for order in (COLUMNS, ("income", "age", "years")):
        fields = "\n".join(f"    {name}: float" for name in order)
        for form, made, given in (("frame", named, FRAME), ("array", plain, TABLE)):
            if form == "array" and order != COLUMNS:
                continue  # nothing in such an artifact tells what its columns are
            code = CLASS.format(fields=fields, method=BY_COLUMNS)
            name = f"class, columns {' '.join(order)}, {form}"
            yield Kind(name, stated, made, as_rows(), answers(made, NUMBER, given), code)
    code = CLASS.format(fields="\n".join(f"    {name}: float" for name in ("income", "age", "years")), method=BY_FRAME)
    yield Kind("class, a frame by name", stated, named, as_rows(), answers(named, NUMBER, FRAME), code)
    town = np.array(["north", "south", "west"], dtype=object)[BAND]
    frame = pd.DataFrame({"town": pd.Series(town, dtype=object), "age": TABLE[:, 0], "years": TABLE[:, 2]})
    frame.loc[frame.index % 4 == 1, "years"] = np.nan
    columns = ColumnTransformer([("town", OneHotEncoder(), ["town"])], remainder="passthrough")
    made = make_pipeline(columns, HistGradientBoostingRegressor(max_iter=9)).fit(frame, PRICE)
    rows = [{k: None if v != v else v for k, v in row.items()} for row in as_rows(frame)]
    fields = '    years: float | None\n    town: str = Field(pattern="north|south|west")\n    age: float'
    code = CLASS.format(fields=fields, method=BY_FRAME.replace("estimator.feature", "estimator[0].feature"))
    yield Kind("class, texts and nulls", stated, made, rows, answers(made, NUMBER, frame), code)


def mixed() -> Iterator[Kind]:
    """Tables of numbers, texts, booleans, categories and missing values, without a class."""
    for name, made in tables().items():
        stated = {"format": "sklearn", "inputs": made.inputs, "outputs": made.outputs}
        yield Kind(f"table, {name}", stated, made.estimator, made.rows()[:ROWS], made.truth(slice(ROWS)))
    columns = ["area", "floor", "size", "lift"]
    boosting = importlib.import_module("lightgbm").LGBMRegressor(n_estimators=9, verbose=-1)  # it compares the types
    made = Fitted("", boosting.fit(FLATS[columns], RENT), FLATS[columns], columns_of_table(columns), NUMBER)
    stated = {"format": "sklearn", "inputs": made.inputs, "outputs": NUMBER}
    yield Kind("table, lightgbm, categories", stated, boosting, made.rows()[:ROWS], made.truth(slice(ROWS)))


def kinds() -> Iterator[Kind]:
    """All kinds."""
    yield from classifiers()
    yield from several_outputs()
    yield from regressors()
    yield from types()
    yield from texts()
    yield from transformers()
    yield from classes()
    yield from mixed()
