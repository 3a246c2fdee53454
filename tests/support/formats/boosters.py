"""Boosters of XGBoost and LightGBM, each with rows and what its library itself answers. Needs both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas
import xgboost

from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats import lightgbm_file, xgboost_file
from support.formats.cases import Case

RNG = np.random.default_rng(0)
TRAINED, ROWS = 400, 6


def table() -> pandas.DataFrame:
    """Columns of several types. `height` and `member` are never missing, `age` sometimes."""
    frame = pandas.DataFrame(
        {
            "height": RNG.normal(size=TRAINED),
            "visits": RNG.integers(0, 9, TRAINED),
            "member": RNG.random(TRAINED) > 0.5,
            "city": pandas.Categorical(RNG.choice(["Bern", "Oslo", "Rome"], TRAINED)),
            "size": pandas.Categorical(RNG.choice([3, 7, 9], TRAINED)),
            "age": RNG.normal(40, 9, TRAINED),
        }
    )
    frame.loc[::5, "age"] = np.nan
    return frame


def matrix() -> np.ndarray:
    """Numbers without names, some of them missing."""
    found = RNG.normal(size=(TRAINED, 9))
    found[RNG.random(found.shape) < 0.1] = np.nan
    return found


def of_columns(frame: pandas.DataFrame) -> np.ndarray:
    """The label of a row: 0 or 1, by four of the columns."""
    score = frame.height + (frame.city == "Oslo") + (frame["size"] == 7) + (frame.age.fillna(40) > 50)
    label: np.ndarray = (score > 1).to_numpy().astype(int)
    return label


def as_rows(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    """The first rows as JSON: null where a value is missing."""
    rows = frame.head(ROWS).astype(object)
    return [
        {
            str(name): None if value != value else getattr(value, "item", lambda v=value: v)()
            for name, value in row.items()
        }
        for row in rows.where(rows.notna(), None).to_dict("records")
    ]


def answers(values: np.ndarray) -> list[dict[str, Any]]:
    """The library's values as the answers of a classifier: of two classes, or of several."""
    if values.ndim == 1:
        return [{"label": int(value > 0.5), "probability": value.item()} for value in values]
    return [{"label": int(row.argmax()), "probabilities": row.tolist()} for row in values]


def stated(own: Sequence[Tensor]) -> list[dict[str, Any]]:
    """The inputs as a manifest may have them: `height` is never null, and `member` is no number."""
    found = {one.name: one.model_dump(mode="json", exclude_defaults=True) for one in own}
    found["height"].pop("nullable", None)
    found["member"]["datatype"] = "BOOL"
    return list(found.values())


def trained(name: str) -> tuple[Any, Any, pandas.DataFrame | None]:
    """A booster, the rows for it, and the table that they come from if their columns have names."""
    library, _, kind = name.partition("-")
    frame = table() if kind == "columns" else None
    data: Any = frame if frame is not None else matrix()
    labels = of_columns(frame) if frame is not None else RNG.integers(0, 3, TRAINED)
    several = {} if frame is not None else {"num_class": 3}
    if library == "xgboost":
        objective = "binary:logistic" if frame is not None else "multi:softprob"
        matrix_of = xgboost.DMatrix(data, labels, enable_categorical=True)
        return xgboost.train({"objective": objective, "nthread": 2, **several}, matrix_of, 20), data, frame
    objective = "binary" if frame is not None else "multiclass"
    parameters = {"objective": objective, "verbose": -1, "num_threads": 2, "min_data_per_group": 5, **several}
    return lightgbm.train(parameters, lightgbm.Dataset(data, labels), 20), data, frame


def case(name: str, folder: Path) -> Case:
    """A booster, its rows as JSON, and the library's own answers: to one row, and to all of them."""
    booster, data, frame = trained(name)
    library = name.partition("-")[0]
    manifest: dict[str, Any] = {"format": library}
    if frame is not None:
        file = folder / f"{name}.model"
        if library == "xgboost":
            booster.save_model(file.with_suffix(".json"))
            described = xgboost_file.read(file.with_suffix(".json")).described
        else:
            booster.save_model(file)
            described = lightgbm_file.read(file).described
        manifest["inputs"] = stated(described.inputs())
        rows, arrays = as_rows(frame), {str(column): frame[column].head(ROWS) for column in frame}
    else:
        data = np.nan_to_num(data[:ROWS], nan=0.5).astype(np.float32)
        rows, arrays = [{"features": row.tolist()} for row in data], {"features": data}

    def own(given: Mapping[str, Any]) -> list[dict[str, Any]]:
        asked = given["features"] if frame is None else pandas.DataFrame(dict(given))
        if library == "lightgbm":
            return answers(booster.predict(asked, num_threads=1))
        if frame is None:
            return answers(booster.inplace_predict(asked))
        return answers(booster.predict(xgboost.DMatrix(asked, enable_categorical=True)))

    return Case(manifest, booster, rows, arrays, own)
