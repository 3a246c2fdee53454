"""Train wines and write its folder: `ci/models wines`, or `python services/models/wines/train.py [--out DIR]`.

It needs the packages of requirements/formats.txt, which `ci/models wines` installs into an environment of their own.
"""

import argparse
from pathlib import Path

import xgboost
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

from fairlead.serving.formats.writer import write_folder

COLUMNS = {
    "alcohol": "percent, 11 to 14.8 in the data",
    "malic_acid": "0.7 to 5.8 in the data",
    "ash": "1.4 to 3.2 in the data",
    "alcalinity_of_ash": "10.6 to 30 in the data",
    "magnesium": "70 to 162 in the data",
    "total_phenols": "1 to 3.9 in the data",
    "flavanoids": "0.3 to 5.1 in the data",
    "nonflavanoid_phenols": "0.1 to 0.7 in the data",
    "proanthocyanins": "0.4 to 3.6 in the data",
    "color_intensity": "1.3 to 13 in the data",
    "hue": "0.5 to 1.7 in the data",
    "od_ratio": "optical density at 280 nm, divided by that at 315 nm",
    "proline": "278 to 1680 in the data",
}
"""The columns in the order of scikit-learn's table. The booster has these names."""
MANIFEST = {
    "name": "wines",
    "version": "1.0.0",
    "title": "Where a wine comes from",
    "description": "Trees say which of three growers a wine is from, by its chemical analysis. A value may be missing.",
    "contact": {"name": "Model owners of the examples"},
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "tags": ["example", "tabular", "classification"],
    "format": "xgboost",
    # The file says all of this but the descriptions. Without these lines its own names and types are served.
    "inputs": [
        {"name": name, "datatype": "FP32", "nullable": True, "description": unit} for name, unit in COLUMNS.items()
    ],
    "outputs": [
        {"name": "label", "datatype": "BYTES", "choices": ["first", "second", "third"], "description": "the grower"},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3], "description": "of each grower"},
    ],
}


def main(out: Path) -> None:
    rows, held_out, labels, held_out_labels = train_test_split(
        *load_wine(return_X_y=True), test_size=0.3, random_state=0
    )
    # One thread: sums have one order, so training twice gives the same bytes.
    parameters = {"objective": "multi:softprob", "num_class": 3, "max_depth": 3, "nthread": 1, "seed": 0}
    booster = xgboost.train(parameters, xgboost.DMatrix(rows, labels, feature_names=list(COLUMNS)), 20)
    examples = [dict(zip(COLUMNS, row, strict=True)) for row in held_out[:8].tolist()]
    examples[-1] |= {"proline": None, "hue": None}
    folder = out / "wines" / MANIFEST["version"]
    write_folder(folder, MANIFEST, booster, golden_inputs=examples)
    found = booster.predict(xgboost.DMatrix(held_out, feature_names=list(COLUMNS))).argmax(1)
    print(f"{folder}: accuracy {(found == held_out_labels).mean():.3f} on {len(held_out)} held-out wines")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/models"), help="where the model folders go")
    main(parser.parse_args().out)
