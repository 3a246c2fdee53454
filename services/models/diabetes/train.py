"""Train diabetes and write its folder: `ci/models diabetes`, or `python services/models/diabetes/train.py [--out DIR]`.

It needs the packages of requirements/formats.txt, which `ci/models diabetes` installs into an environment of their own.
"""

import argparse
from pathlib import Path

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlead.serving.formats.writer import write_folder

COLUMNS = {
    "age": "years",
    "sex": "1 or 2, as scikit-learn has it",
    "bmi": "body mass index, kg/m2",
    "bp": "mean blood pressure, mmHg",
    "s1": "total cholesterol, mg/dl",
    "s2": "low-density lipoproteins, mg/dl",
    "s3": "high-density lipoproteins, mg/dl",
    "s4": "total cholesterol divided by high-density lipoproteins",
    "s5": "logarithm of the triglycerides",
    "s6": "blood sugar, mg/dl",
}
MANIFEST = {
    "name": "diabetes",
    "version": "1.0.0",
    "title": "How diabetes goes on",
    "description": "How far the disease goes on within a year, from 25 to 346. An example, and no diagnosis.",
    "contact": {"name": "Model owners of the examples"},
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "tags": ["example", "tabular", "regression"],
    "format": "skops",
    # Far beyond these bounds the sums of a linear model become infinite, which is no answer.
    "inputs": [
        {"name": name, "datatype": "FP64", "minimum": 0, "maximum": 1000, "description": unit}
        for name, unit in COLUMNS.items()
    ],
    "outputs": [{"name": "prediction", "datatype": "FP64", "description": "the progression after a year"}],
}


def main(out: Path) -> None:
    table, progression = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    rows, held_out, target, held_out_target = train_test_split(table, progression, test_size=0.3, random_state=0)
    estimator = make_pipeline(StandardScaler(), Ridge()).fit(rows, target)
    folder = out / "diabetes" / MANIFEST["version"]
    write_folder(folder, MANIFEST, estimator, golden_inputs=held_out[:8].to_dict("records"))
    score = estimator.score(held_out, held_out_target)
    print(f"{folder}: R2 {score:.3f} on {len(held_out)} held-out patients")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/models"), help="where the model folders go")
    main(parser.parse_args().out)
