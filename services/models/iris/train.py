"""Train both versions of iris and write their folders: `python services/models/iris/train.py [--out build/models]`."""

import argparse
from pathlib import Path

from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from fairlead.serving.formats.writer import write_folder
from fairlead.serving.reference.build import write_profile

HERE = Path(__file__).parent
FIELDS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
MANIFEST = {
    "name": "iris",
    "title": "Iris species",
    "contact": {"name": "Model owners of the examples"},
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "tags": ["example", "tabular", "classification"],
    "format": "sklearn",
    "entry": "model:Iris",
    "batching": {"max_rows": 64},
}
# ensemble=False: one SVC predicts, not one per fold. Temperature scaling has one parameter and is cheaper per call
# than a sigmoid per class.
VERSIONS = {
    "1.0.0": (
        "A support vector classifier with calibrated probabilities.",
        CalibratedClassifierCV(SVC(), method="temperature", ensemble=False),
    ),
    "1.1.0": (
        "Linear discriminant analysis: as accurate, better calibrated, several times faster per call.",
        LinearDiscriminantAnalysis(),
    ),
}


def main(out: Path) -> None:
    data = load_iris()
    species = data.target_names[data.target]
    rows, held_out, labels, held_out_labels = train_test_split(
        data.data, species, test_size=0.3, random_state=0, stratify=species
    )
    flowers = [dict(zip(FIELDS, row.tolist(), strict=True)) for row in held_out]
    first = None
    for version, (description, classifier) in VERSIONS.items():
        classifier.fit(rows, labels)
        folder = out / "iris" / version
        write_folder(
            folder,
            MANIFEST | {"version": version, "description": description},
            classifier,
            code=[HERE / "model.py"],
            golden_inputs=flowers[:8],
        )
        # The bins of the first version, so that the answers of both can be compared.
        profile = write_profile(folder, flowers, data="held-out flowers", edges_from=first)
        first = first or profile
        print(
            f"{folder}: accuracy {classifier.score(held_out, held_out_labels):.3f} on {len(held_out)} held-out flowers"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/models"), help="where the model folders go")
    main(parser.parse_args().out)
