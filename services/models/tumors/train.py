"""Train tumors and write its folder: `ci/models tumors`, or `python services/models/tumors/train.py [--out DIR]`.

It needs the packages of requirements/formats.txt, which `ci/models tumors` installs into an environment of their own.
"""

import argparse
from pathlib import Path

import lightgbm
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from fairlead.serving.formats.writer import write_folder

COLUMNS = {
    "radius": "mean distance from the center of a nucleus to its border",
    "texture": "standard deviation of the gray values",
    "perimeter": "of the nuclei, mean",
    "area": "of the nuclei, mean",
    "smoothness": "local variation of the radius",
    "compactness": "perimeter squared, divided by the area, minus 1",
    "concavity": "severity of concave parts of the border",
    "concave_points": "number of concave parts of the border",
    "symmetry": "of the nuclei, mean",
    "fractal_dimension": "of the border, minus 1",
}
"""The first ten columns of scikit-learn's table, the means. The booster has these names."""
MANIFEST = {
    "name": "tumors",
    "version": "1.0.0",
    "title": "Malignant or benign",
    "description": "Trees judge a tumor by ten measures of an image of its cells. An example, and no diagnosis.",
    "contact": {"name": "Model owners of the examples"},
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "tags": ["example", "tabular", "classification"],
    "format": "lightgbm",
    # The file says all of this but the descriptions. Without these lines its own names and types are served.
    "inputs": [{"name": name, "datatype": "FP64", "description": what} for name, what in COLUMNS.items()],
    "outputs": [
        {"name": "label", "datatype": "BYTES", "choices": ["malignant", "benign"], "description": "the likelier one"},
        {"name": "probability", "datatype": "FP64", "description": "that the tumor is benign"},
    ],
}


def main(out: Path) -> None:
    table, benign = load_breast_cancer(return_X_y=True)
    rows, held_out, labels, held_out_labels = train_test_split(
        table[:, : len(COLUMNS)], benign, test_size=0.3, random_state=0
    )
    # One thread: sums have one order, so training twice gives the same bytes.
    parameters = {"objective": "binary", "num_leaves": 15, "num_threads": 1, "seed": 0, "verbose": -1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(rows, labels, feature_name=list(COLUMNS)), 30)
    folder = out / "tumors" / MANIFEST["version"]
    examples = [dict(zip(COLUMNS, row, strict=True)) for row in held_out[:8].tolist()]
    write_folder(folder, MANIFEST, booster, golden_inputs=examples)
    right = ((booster.predict(held_out) > 0.5) == held_out_labels).mean()
    print(f"{folder}: accuracy {right:.3f} on {len(held_out)} held-out tumors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/models"), help="where the model folders go")
    main(parser.parse_args().out)
