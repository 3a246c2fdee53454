"""Train churn and write its folder: `python services/models/churn/train.py [--out build/models]`."""

import argparse
from pathlib import Path

import numpy as np
from model import FEATURES
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlead.serving.formats.writer import write_folder

HERE = Path(__file__).parent
VERSION = "1.0.0"
MANIFEST = {
    "name": "churn",
    "version": VERSION,
    "title": "Customers who leave",
    "description": "How probable it is that a customer leaves within three months. The customers are made up.",
    "contact": {"name": "Model owners of the examples"},
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "tags": ["example", "tabular", "classification"],
    "format": "pickle",
    "entry": "model:Churns",
    "batching": {"max_rows": 64},
}


def customers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Made-up customers, the same ones each time, and whether each leaves."""
    random = np.random.default_rng(0)
    columns = (
        random.integers(1, 73, count),
        random.uniform(10, 120, count).round(2),
        random.poisson(1.5, count),
        random.poisson(0.4, count),
        random.integers(1, 6, count),
        random.exponential(20, count).round(),
    )
    table = np.column_stack(columns).astype(float)
    months, charge, calls, late, products, days = table.T
    score = 0.02 * charge + 0.4 * calls + 0.6 * late + 0.03 * days - 0.05 * months - 0.4 * products - 0.6
    return table, random.uniform(size=count) < 1 / (1 + np.exp(-score))


def main(out: Path) -> None:
    table, leaves = customers(2000)
    rows, held_out, labels, held_out_labels = train_test_split(table, leaves, test_size=0.2, random_state=0)
    classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
    folder = out / "churn" / VERSION
    write_folder(
        folder,
        MANIFEST,
        {"classifier": classifier, "version": VERSION},
        code=[HERE / "model.py"],
        golden_inputs=[{"features": row} for row in held_out[:8].tolist()],
    )
    score = classifier.score(held_out, held_out_labels)
    print(f"{folder}: accuracy {score:.3f} on {len(held_out)} held-out customers, each with {len(FEATURES)} features")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/models"), help="where the model folders go")
    main(parser.parse_args().out)
