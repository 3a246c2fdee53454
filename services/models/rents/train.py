"""Train rents and write its folder: `python services/models/rents/train.py [--out build/models]`."""

import argparse
import random
from pathlib import Path

from model import Flat
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairlead.serving.formats.frames import frame
from fairlead.serving.formats.writer import write_folder
from fairlead.serving.reference.build import write_profile

HERE = Path(__file__).parent
CITIES = {"Bonn": 12.5, "Kassel": 9.0, "Ulm": 11.0}  # euros per square metre
HEATINGS = {"gas": 0.0, "district": 20.0, "heat pump": 60.0}
FLATS, HELD_OUT = 2000, 400
MANIFEST = {
    "name": "rents",
    "version": "1.0.0",
    "title": "Monthly rent of a flat",
    "description": "A linear model of made-up flats with categories and missing values.",
    "contact": {"name": "Model owners of the examples"},
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "tags": ["example", "tabular", "regression"],
    "format": "sklearn",
    "entry": "model:Rents",
}


def a_flat(chance: random.Random) -> tuple[dict[str, object], float]:
    """A made-up flat and its rent. A fifth of what may be missing is missing."""
    city, heating = chance.choice(list(CITIES)), chance.choice(list(HEATINGS))
    area, built, balcony = round(chance.uniform(20, 160), 1), chance.randint(1900, 2024), chance.random() < 0.6
    energy = round(260 - (built - 1900) * 1.4 + chance.gauss(0, 20))
    rent = CITIES[city] * area + HEATINGS[heating] + 1.5 * (built - 1960) - 0.3 * energy + 45 * balcony
    flat: dict[str, object] = {"city": city, "area": area, "rooms": max(1, round(area / 28))}
    known = {"built": built, "energy": max(0.0, energy), "balcony": balcony, "heating": heating}
    flat |= {name: None if chance.random() < 0.2 else value for name, value in known.items()}
    return flat, rent + chance.gauss(0, 30)


def main(out: Path) -> None:
    chance = random.Random(0)
    flats, rents = zip(*(a_flat(chance) for _ in range(FLATS)), strict=True)
    table = frame(Flat, flats)  # the same types of columns as predict_frame gets
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    columns = make_column_transformer(
        (OneHotEncoder(), make_column_selector(dtype_include="category")), remainder=numbers
    )
    estimator = make_pipeline(columns, Ridge())
    estimator.fit(table[HELD_OUT:], rents[HELD_OUT:])
    golden = flats[:8]
    folder = out / "rents" / "1.0.0"
    write_folder(
        folder,
        MANIFEST,
        estimator,
        code=[HERE / "model.py"],
        golden_inputs=golden,
        golden_expected=[{"rent": rent} for rent in estimator.predict(table[: len(golden)]).tolist()],
        libraries=["scikit-learn", "pandas"],
    )
    write_profile(folder, flats[:HELD_OUT], data="held-out flats", slices=["old: built=..1950"])
    print(f"{folder}: R2 {estimator.score(table[:HELD_OUT], rents[:HELD_OUT]):.3f} on {HELD_OUT} held-out flats")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/models"), help="where the model folders go")
    main(parser.parse_args().out)
