"""Boosters of both libraries: every objective, files that were damaged, and what the libraries do not say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.serving.formats.folder import FORMATS
from support import environments

DAMAGED = 200
"""How many damaged copies of a file are tried."""
MEMORY_MIB = 700
"""What the process that tries them may need at most: its libraries need 250."""
TRY = """
import random, resource, sys, tempfile
from pathlib import Path
from fairlead import errors
from fairlead.serving.formats.folder import FORMATS
from support import booster_files
from support.formats import boosters

library, count = sys.argv[1], int(sys.argv[2])
booster, data, frame = boosters.trained(f"{library}-{sys.argv[3]}")
folder = Path(tempfile.mkdtemp())
path, adapter = folder / "model", FORMATS[library]
adapter.write(booster, path)
whole, draws, rows = path.read_bytes(), random.Random(0), boosters.np.zeros((64, data.shape[1]))
rows[1::2] = boosters.np.nan
rows[::5] = 1e30
rows = rows.astype(adapter.held)

def damaged():
    made = bytearray(whole)
    match draws.randrange(4):
        case 0:
            return bytes(made[: draws.randrange(len(made))])
        case 1:
            for _ in range(draws.choice((1, 1, 8, 64))):
                made[draws.randrange(len(made))] = draws.randrange(256)
        case 2:  # digits, which a parser takes
            places = [place for place in draws.sample(range(len(made)), 400) if chr(made[place]).isdigit()]
            for place in places[: draws.choice((1, 3, 30))]:
                made[place] = ord(draws.choice("0123456789-"))
        case 3:  # a part twice
            at, size = draws.randrange(len(made)), draws.randrange(1, 200)
            made[at:at] = made[at : at + size]
    return bytes(made)

answered = refused = 0
corpus = [made() for made, _ in (booster_files.XGBOOST | booster_files.LIGHTGBM).values()]
corpus += [made() for made, _ in (booster_files.XGBOOST if library == "xgboost" else booster_files.LIGHTGBM).values()]
for one in (whole, *corpus, *(damaged() for _ in range(count))):
    path.write_bytes(one)
    try:
        loaded = adapter.read(path)
        for margin in (True, False):
            loaded.values(rows[:, :1].repeat(len(loaded.described.features), 1), margin=margin)
        answered += 1
    except (errors.Invalid, errors.ModelFailed) as cause:
        assert chr(10) not in cause.message and len(cause.message) < 700, cause.message
        refused += 1
print(answered, refused, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.parametrize(("library", "kind"), [("xgboost", "columns"), ("xgboost", "classes"), ("lightgbm", "columns")])
def test_the_process_survives_every_damaged_file_and_its_memory_stays_bounded(
    libraries: list[Path], library: str, kind: str
) -> None:
    command = [sys.executable, "-c", TRY, library, str(DAMAGED), kind]
    packages = environments.variables(environments.ROOT / "tests", *libraries)
    given = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", **packages}
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answered, refused, memory = map(int, done.stdout.split()[-3:])
    assert answered >= 1
    assert refused > DAMAGED / 3
    assert memory < MEMORY_MIB


def xgboost_of(
    libraries: list[Path], folder: Path, data: np.ndarray, label: np.ndarray, **parameters: Any
) -> tuple[Any, Any]:
    """A booster of XGBoost, and the same as it is served."""
    import xgboost  # noqa: PLC0415 - importable only when the environment was added

    booster = xgboost.train({"nthread": 2, "max_depth": 4, **parameters}, xgboost.DMatrix(data, label), 5)
    FORMATS["xgboost"].write(booster, folder / "model.ubj")
    return booster, FORMATS["xgboost"].read(folder / "model.ubj")


def lightgbm_of(
    libraries: list[Path], folder: Path, data: np.ndarray, label: np.ndarray, **parameters: Any
) -> tuple[Any, Any]:
    """A booster of LightGBM, and the same as it is served."""
    import lightgbm  # noqa: PLC0415

    options = {"verbose": -1, "num_threads": 2, "num_leaves": 7, **parameters}
    booster = lightgbm.train(options, lightgbm.Dataset(data, label), 5)
    FORMATS["lightgbm"].write(booster, folder / "model.txt")
    return booster, FORMATS["lightgbm"].read(folder / "model.txt")


def training(several: bool) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(1)
    data = draws.normal(size=(400, 4)).astype(np.float32)
    data[::7, 0] = np.nan
    return data, draws.integers(0, 3 if several else 2, 400).astype(np.float64)


XGBOOST: dict[str, dict[str, Any]] = {
    **{name: {"objective": name} for name in ("reg:squarederror", "reg:logistic", "count:poisson", "binary:logistic")},
    **{name: {"objective": name} for name in ("binary:logitraw", "binary:hinge", "rank:pairwise", "reg:absoluteerror")},
    **{name: {"objective": name, "num_class": 3} for name in ("multi:softprob", "multi:softmax")},
    "several quantiles": {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]},
    "dart": {"booster": "dart", "rate_drop": 0.5, "objective": "binary:logistic"},
    "a forest": {"num_parallel_tree": 3, "subsample": 0.5, "objective": "multi:softprob", "num_class": 3},
    "pruned": {"tree_method": "exact", "gamma": 0.5, "objective": "binary:logistic"},
}


@pytest.mark.parametrize("name", XGBOOST)
def test_xgboost_answers_as_served_what_it_answers_itself_in_a_batch_and_alone(
    libraries: list[Path], tmp_path: Path, name: str
) -> None:
    data, label = training("num_class" in XGBOOST[name])
    booster, served = xgboost_of(libraries, tmp_path, data, label, **XGBOOST[name])
    for margin in (False, True):
        own = booster.inplace_predict(data, predict_type="margin" if margin else "value")
        found = served.values(data, margin=margin)
        np.testing.assert_array_equal(found, own)
        alone = [served.values(data[place : place + 1], margin=margin) for place in range(50)]
        np.testing.assert_array_equal(np.concatenate(alone), own[:50])


LIGHTGBM: dict[str, dict[str, Any]] = {
    **{name: {"objective": name} for name in ("regression", "poisson", "quantile", "binary", "cross_entropy")},
    **{name: {"objective": name, "num_class": 3} for name in ("multiclass", "multiclassova")},
    "linear leaves": {"objective": "regression", "linear_tree": True},
    "a forest": {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5, "objective": "binary"},
    "zero is missing": {"objective": "regression", "zero_as_missing": True},
    "a square root": {"objective": "regression", "reg_sqrt": True},
    "a function": {"objective": lambda found, data: (found - data.get_label(), np.ones_like(found))},
}


@pytest.mark.parametrize("name", LIGHTGBM)
def test_lightgbm_answers_as_served_what_it_answers_itself_in_a_batch_and_alone(
    libraries: list[Path], tmp_path: Path, name: str
) -> None:
    data, label = training("num_class" in LIGHTGBM[name])
    booster, served = lightgbm_of(libraries, tmp_path, data.astype(np.float64), label, **LIGHTGBM[name])
    rows = data.astype(np.float64)
    for margin in (False, True):
        own = booster.predict(rows, raw_score=margin)
        np.testing.assert_array_equal(served.values(rows, margin=margin), own)
        alone = [served.values(rows[place : place + 1], margin=margin) for place in range(50)]
        np.testing.assert_array_equal(np.concatenate(alone), own[:50])


def test_a_split_of_what_is_missing_from_all_else_is_served_as_lightgbm_answers(
    libraries: list[Path], tmp_path: Path
) -> None:
    """Its threshold is infinite, in about one of five trainings on rows of which a fifth is missing."""
    infinite = 0
    for seed in range(12):
        draws = np.random.default_rng(seed)
        data = draws.normal(size=(500, 5))
        data[draws.random(data.shape) < 0.2] = np.nan
        label = (np.nan_to_num(data).sum(1) + draws.normal(size=500) > 0).astype(float)
        booster, served = lightgbm_of(libraries, tmp_path, data, label, objective="binary", num_leaves=31)
        infinite += "inf" in (tmp_path / "model.txt").read_text()
        np.testing.assert_array_equal(served.values(data, margin=False), booster.predict(data))
    assert infinite


def test_a_training_that_stopped_early_answers_as_its_classifier_does(libraries: list[Path], tmp_path: Path) -> None:
    import xgboost  # noqa: PLC0415

    data, label = training(several=False)
    fitted = xgboost.XGBClassifier(n_estimators=40, early_stopping_rounds=2)
    fitted.fit(data[:200], label[:200], eval_set=[(data[200:], label[200:])], verbose=False)
    FORMATS["xgboost"].write(fitted, tmp_path / "model.ubj")
    served = FORMATS["xgboost"].read(tmp_path / "model.ubj").values(data, margin=False)
    np.testing.assert_array_equal(served, fitted.predict_proba(data)[:, 1])
    assert not np.array_equal(served, fitted.get_booster().inplace_predict(data))


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_the_same_booster_gives_the_same_bytes(libraries: list[Path], tmp_path: Path, library: str) -> None:
    booster, _ = {"xgboost": xgboost_of, "lightgbm": lightgbm_of}[library](
        libraries, tmp_path, *training(several=False)
    )
    for name in "ab":
        FORMATS[library].write(booster, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_an_object_that_is_no_booster_is_refused(libraries: list[Path], tmp_path: Path, library: str) -> None:
    with pytest.raises(errors.Invalid, match="a dict is neither"):
        FORMATS[library].write({}, tmp_path / "model")


def test_a_file_of_a_newer_xgboost_is_refused_with_both_versions(libraries: list[Path], tmp_path: Path) -> None:
    from support import booster_files  # noqa: PLC0415

    (tmp_path / "model.json").write_bytes(booster_files.changed(booster_files.xgboost(), "version", [99, 1, 0]))
    with pytest.raises(errors.Invalid, match=r"was written by XGBoost 99\.1\.0, and \d+\.\d+\.\d+ is installed"):
        FORMATS["xgboost"].read(tmp_path / "model.json")


@pytest.mark.parametrize("name", ["multi_output_tree", "gblinear"])
def test_boosters_that_are_not_served_are_refused_by_what_they_are(
    libraries: list[Path], tmp_path: Path, name: str
) -> None:
    data, label = training(several=False)
    linear = {"booster": "gblinear", "max_depth": None}
    given = {"multi_strategy": name} if name != "gblinear" else linear
    with pytest.raises(errors.Invalid, match=name):
        xgboost_of(libraries, tmp_path, data, label if name == "gblinear" else np.c_[label, label], **given)
