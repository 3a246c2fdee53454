from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from fairlead.serving.new.structure import Facts, facts, takes_texts
from support.artifacts.tables import SIZES, tables

TOWNS = pd.DataFrame({"town": ["b", "a", "b", "a"], "rooms": [1, 2, 2, 1], "area": [1.0, 2.0, 3.0, 4.0]})
TARGET = [0, 1, 0, 1]
TOWN, ROOMS = Facts(is_text=True, values=("a", "b")), Facts(values=(1, 2))


@pytest.mark.parametrize("chosen", [["town", "rooms"], [0, 1], [True, True, False], slice(0, 2), [-3, -2]], ids=str)
def test_the_values_of_an_encoder_belong_to_the_columns_that_it_gets(chosen: Any) -> None:
    columns = ColumnTransformer([("codes", OrdinalEncoder(), chosen)], remainder="passthrough")
    assert facts(make_pipeline(columns, LogisticRegression()).fit(TOWNS, TARGET), 3) == {0: TOWN, 1: ROOMS}


def test_an_encoder_after_an_imputer_or_a_scaler_is_found_and_one_after_a_function_is_not() -> None:
    both = TOWNS[["town", "rooms"]]
    imputed = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()).fit(both)
    assert facts(imputed, 2)[0] == TOWN
    scaled = make_pipeline(StandardScaler(), OrdinalEncoder()).fit(TOWNS[["rooms"]])
    assert facts(scaled, 1)[0].values == (-1.0, 1.0)
    assert facts(make_pipeline(FunctionTransformer(), OrdinalEncoder()).fit(both), 2) == {}


def test_an_encoder_inside_of_a_search_or_a_union_is_found() -> None:
    columns = make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough")
    search = GridSearchCV(make_pipeline(columns, LogisticRegression()), {}, cv=2).fit(TOWNS, TARGET)
    assert facts(search, 3)[0] == TOWN
    union = FeatureUnion([("codes", OrdinalEncoder())]).fit(TOWNS[["town"]])
    assert facts(union, 1) == {0: TOWN}


def test_trees_tell_the_categories_that_they_have_from_the_types_of_columns() -> None:
    known = facts(tables()["trees, categories from dtype"].estimator, 4)
    assert known[2].is_category
    assert set(known[2].values) == set(SIZES)


def test_an_encoder_that_knows_none_tells_it() -> None:
    assert facts(tables()["None"].estimator, 2)[0].has_none


def test_a_column_of_a_vectorizer_is_a_text() -> None:
    columns = make_column_transformer((TfidfVectorizer(token_pattern="."), "town")).fit(TOWNS)
    assert facts(columns, 3) == {0: Facts(is_text=True)}


@pytest.mark.parametrize("vectorizer", [TfidfVectorizer(), HashingVectorizer(n_features=4)])
def test_a_pipeline_that_begins_with_a_vectorizer_takes_texts(vectorizer: Any) -> None:
    pipeline = make_pipeline(vectorizer, LogisticRegression()).fit(["aa bb", "bb cc", "cc dd", "aa"], TARGET)
    assert takes_texts(pipeline)
    assert not takes_texts(make_pipeline(StandardScaler(), LogisticRegression()))


def test_an_estimator_of_another_library_tells_nothing() -> None:
    assert facts(object(), 3) == {}
    assert not takes_texts(object())


class Booster:
    """What LightGBM keeps of a table with the columns area, size and month, the last two of them categories."""

    pandas_categorical: Any = [["small", "large"], [1, 2]]

    def dump_model(self, num_iteration: int) -> dict[str, Any]:
        values = {"month": [0, 1], "area": [], "size": [-1, 0, 1]}
        return {
            "feature_names": ["area", "size", "month"],
            "feature_infos": {name: {"values": seen} for name, seen in values.items()},
        }


def test_lightgbm_tells_its_categories_in_their_order() -> None:
    size = Facts(is_text=True, is_category=True, values=("small", "large"))
    assert facts(Booster(), 3) == {1: size, 2: Facts(is_category=True, values=(1, 2))}


def test_lightgbm_tells_nothing_if_a_category_is_in_no_tree() -> None:
    booster = Booster()
    booster.pandas_categorical = [["small", "large"], [1, 2], [True]]
    assert facts(booster, 3) == {}


def _classifier() -> Any:
    columns = make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough")
    return make_pipeline(columns, LogisticRegression())


@pytest.mark.parametrize(
    "wrapped",
    [
        VotingClassifier([("one", _classifier()), ("two", _classifier())]),
        StackingClassifier([("one", _classifier())], cv=2),
        CalibratedClassifierCV(_classifier(), cv=2),
        CalibratedClassifierCV(FrozenEstimator(_classifier().fit(TOWNS, TARGET)), cv=2),
    ],
    ids=["vote", "stack", "calibrated", "calibrated and frozen"],
)
def test_an_encoder_inside_of_several_estimators_is_found(wrapped: Any) -> None:
    assert facts(wrapped.fit(TOWNS, TARGET), 3)[0] == TOWN


def test_an_encoder_of_each_output_is_found() -> None:
    both = np.array([TARGET, TARGET[::-1]]).T
    assert facts(MultiOutputClassifier(_classifier()).fit(TOWNS, both), 3)[0] == TOWN


def test_an_encoder_of_a_bag_belongs_to_the_columns_that_its_estimator_gets() -> None:
    codes = np.array([[7, 1], [8, 2], [7, 1], [8, 2]])
    bag = BaggingClassifier(
        make_pipeline(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), LogisticRegression()),
        n_estimators=4,
        max_features=1,
        random_state=0,
        bootstrap=False,
    ).fit(codes, TARGET)
    assert {place: fact.values for place, fact in facts(bag, 2).items()} == {0: (7, 8), 1: (1, 2)}


def test_a_vectorizer_inside_of_a_calibration_takes_texts() -> None:
    texts = make_pipeline(TfidfVectorizer(token_pattern="."), LogisticRegression())
    assert takes_texts(CalibratedClassifierCV(texts, cv=2).fit(["a", "b", "a", "b"], TARGET))
