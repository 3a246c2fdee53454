"""Files of XGBoost are checked by our own reader before XGBoost gets anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.serving.formats import ubjson, xgboost_file
from support import booster_files


def read(path: Path, data: bytes) -> xgboost_file.File:
    file = path / "model.json"
    file.write_bytes(data)
    return xgboost_file.read(file)


def document(**given: Any) -> bytes:
    return json.dumps(booster_files.xgboost(**given)).encode()


@pytest.mark.parametrize("name", booster_files.XGBOOST)
def test_a_damaged_or_hostile_file_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    made, sentence = booster_files.XGBOOST[name]
    with pytest.raises(errors.Invalid) as caught:
        read(tmp_path, made())
    assert sentence in caught.value.message
    assert len(caught.value.message) < 300
    assert caught.value.hint


def test_json_and_ubjson_of_one_booster_are_the_same_to_the_library(tmp_path: Path) -> None:
    made = booster_files.xgboost(categories=True)
    assert read(tmp_path, json.dumps(made).encode()) == read(tmp_path, ubjson.write(made))


@pytest.mark.parametrize(
    ("objective", "groups", "outputs"),
    [
        ("reg:squarederror", 1, {"prediction": (-1,)}),
        ("rank:ndcg", 1, {"prediction": (-1,)}),
        ("binary:logistic", 1, {"label": (-1,), "probability": (-1,)}),
        ("binary:hinge", 1, {"label": (-1,)}),
        ("multi:softprob", 3, {"label": (-1,), "probabilities": (-1, 3)}),
        ("multi:softmax", 3, {"label": (-1,)}),
    ],
)
def test_the_outputs_follow_from_the_objective(
    tmp_path: Path, objective: str, groups: int, outputs: dict[str, tuple[int, ...]]
) -> None:
    found = read(tmp_path, document(objective=objective, groups=groups)).described.outputs()
    assert {one.name: one.shape for one in found} == outputs


def test_the_inputs_have_the_names_and_types_of_the_columns(tmp_path: Path) -> None:
    found = read(tmp_path, document()).described.inputs()
    assert [(one.name, one.datatype, one.nullable) for one in found] == [("a", "FP32", True), ("b", "INT64", True)]


def test_a_category_is_named_as_in_training(tmp_path: Path) -> None:
    made = booster_files.xgboost(categories=True)
    names = {"offsets": [0, 3, 5], "values": list(b"redno")}
    cats = {"enc": [{"offsets": [], "values": []}, names], "feature_segments": [0, 0, 2], "sorted_idx": [1, 0]}
    made["learner"]["gradient_booster"]["model"]["cats"] = cats
    assert read(tmp_path, json.dumps(made).encode()).described.features[1].values == ("red", "no")


def test_names_of_categories_that_xgboost_has_cut_off_are_refused(tmp_path: Path) -> None:
    made = booster_files.xgboost(categories=True)
    names = {"offsets": [0, 2, 3], "values": [-61, -87, 97]}
    made["learner"]["gradient_booster"]["model"]["cats"] = {"enc": [{"offsets": [], "values": []}, names]}
    with pytest.raises(errors.Invalid, match="outside of ASCII, which XGBoost cuts off"):
        read(tmp_path, json.dumps(made).encode())


def test_categories_that_were_codes_in_training_are_codes_here(tmp_path: Path) -> None:
    (_, found) = read(tmp_path, document(categories=True)).described.inputs()
    assert (found.datatype, found.minimum, found.choices) == ("INT64", 0, ())


def test_a_training_that_stopped_early_is_asked_up_to_its_best_round(tmp_path: Path) -> None:
    made = booster_files.xgboost()
    made["learner"]["attributes"]["best_iteration"] = "0"
    assert read(tmp_path, json.dumps(made).encode()).rounds == 1
    assert read(tmp_path, document()).rounds == 0


def test_nodes_that_pruning_deleted_are_left_out(tmp_path: Path) -> None:
    made = booster_files.xgboost()
    (tree,) = made["learner"]["gradient_booster"]["model"]["trees"]
    tree |= {"left_children": [3, -1, -1, -1, -1], "right_children": [4, -1, -1, -1, -1]}
    tree["split_indices"] = [0, 2**31 - 1, 2**31 - 1, 0, 0]
    (written,) = ubjson.read(read(tmp_path, json.dumps(made).encode()).document)["learner"]["gradient_booster"][
        "model"
    ]["trees"]
    assert written["left_children"].tolist() == [1, -1, -1]
    assert written["parents"].tolist() == [2**31 - 1, 0, 0]
    assert np.allclose(written["split_conditions"], [0.5, 2.0, 0.1])


def test_a_file_of_an_older_version_without_categories_and_targets_is_read(tmp_path: Path) -> None:
    made = booster_files.xgboost()
    learner = made["learner"]
    del learner["learner_model_param"]["num_target"], learner["feature_names"], learner["feature_types"]
    learner["learner_model_param"]["base_score"] = "5E-1"
    (tree,) = learner["gradient_booster"]["model"]["trees"]
    for name in ("split_type", "categories", "categories_nodes", "categories_segments", "categories_sizes"):
        del tree[name]
    tree["default_left"] = [False, True, False, False, False]
    (found,) = read(tmp_path, json.dumps(made).encode()).described.inputs()
    assert (found.name, found.shape) == ("features", (-1, 2))


def test_a_split_by_categories_of_an_older_version_has_nan_for_its_number(tmp_path: Path) -> None:
    made = booster_files.xgboost(categories=True)
    made["learner"]["gradient_booster"]["model"]["trees"][0]["split_conditions"][1] = float("nan")
    assert read(tmp_path, json.dumps(made).encode()).document
