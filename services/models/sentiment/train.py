"""Train sentiment and write its model folder: `python services/models/sentiment/train.py [--out build/models]`."""

import argparse
import csv
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline

from fairlead.serving.formats.writer import write_folder

HERE = Path(__file__).parent
MANIFEST = {
    "name": "sentiment",
    "version": "1.0.0",
    "title": "Product review sentiment",
    "description": "Praise or complaint, for single English sentences of product reviews.",
    "contact": {"name": "Model owners of the examples"},
    "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
    "tags": ["example", "text", "classification"],
    "format": "sklearn",
    "entry": "model:SentimentModel",
    "batching": {"max_rows": 32},
}


def main(out: Path) -> None:
    with (HERE / "reviews.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    texts = [row["text"] for row in rows]
    labels = ["positive" if float(row["rating"]) > 0 else "negative" for row in rows]
    reviews = [row["review"] for row in rows]
    # All sentences of one review go to the same side: they are about the same product, in the same words.
    train, held_out = next(GroupShuffleSplit(test_size=0.2, random_state=0).split(texts, labels, reviews))
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        LogisticRegression(C=3, class_weight="balanced", max_iter=1000),
    ).fit([texts[i] for i in train], [labels[i] for i in train])
    accuracy = pipeline.score([texts[i] for i in held_out], [labels[i] for i in held_out])
    vars(pipeline[0]).pop("_stop_words_id", None)  # a memory address: the only bytes that differ between two runs
    folder = out / "sentiment" / "1.0.0"
    write_folder(
        folder,
        MANIFEST,
        pipeline,
        code=[HERE / "model.py"],
        golden_inputs=[{"text": texts[i]} for i in held_out[::64]],
    )
    print(f"{folder}: accuracy {accuracy:.3f} on {len(held_out)} sentences of held-out reviews")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/models"), help="where the model folders go")
    main(parser.parse_args().out)
