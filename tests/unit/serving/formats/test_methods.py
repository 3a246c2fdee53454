"""A class that cannot answer a batch is refused before anything is loaded, by the service and by `fairlead check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import errors
from fairlead.serving.check.checks import check_folder
from fairlead.serving.formats.folder import load_folder
from support import folders

PREDICT = "    def predict(self, rows: list[Number]) -> list[Doubled]:"
WRONG = {
    "a misspelt name": (
        PREDICT.replace("predict", "predcit"),
        "Doubler defines none of predict, predict_columns, predict_frame and predict_tensors",
        "Rename predcit to predict.",
    ),
    "no such method": (
        PREDICT.replace("predict", "answer"),
        "Doubler defines none of predict, predict_columns, predict_frame and predict_tensors",
        "Define `predict(self, rows)`, which returns one answer per row.",
    ),
    "async": (
        PREDICT.replace("def", "async def"),
        "Doubler.predict is async, and the service does not await it: it calls the model on a thread",
        "Write `def predict`.",
    ),
    "a generator": (
        PREDICT + "\n        yield from ()",
        "Doubler.predict is a generator: it has a `yield`",
        "Return a list with one answer per row.",
    ),
    "no argument": (
        PREDICT.replace("self, rows: list[Number]", "self"),
        "Doubler.predict cannot be called as predict(rows): its parameters are (self)",
        "Write `def predict(self, rows)`.",
    ),
    "another argument": (
        PREDICT.replace("rows:", "request, rows:"),
        "Doubler.predict cannot be called as predict(rows): its parameters are (self, request, rows)",
        "Write `def predict(self, rows)`.",
    ),
    "no method": (
        PREDICT + " ...\n    predict = 3\n    def unused(self, rows):",
        "Doubler.predict is a int, not a method",
        "Write `def predict(self, rows)`.",
    ),
    "an array and a frame": (
        "    def predict_frame(self, frame): ...\n    def predict_columns(self, batch): ...\n" + PREDICT,
        "Doubler defines predict_columns, predict_frame and predict, and the service would call only predict_columns",
        "Keep predict_columns, or the one that you mean instead.",
    ),
    "a frame and rows": (
        "    def predict_frame(self, frame): ...\n" + PREDICT,
        "Doubler defines predict_frame and predict, and the service would call only predict_frame",
        "Keep predict_frame, or the one that you mean instead.",
    ),
    "rows over the array of its base": (
        "    def predict_columns(self, batch): ...\nclass Base(Doubler): ...\nclass Doubler(Base):\n" + PREDICT,
        "Doubler defines predict_columns and predict, and the service would call only predict_columns",
        "Keep predict_columns, or the one that you mean instead.",
    ),
    "async load": (
        "    async def load(self, artifact): ...\n" + PREDICT,
        "Doubler.load is async, and the service does not await it: it calls the model on a thread",
        "Write `def load`.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_service_and_check_refuse_the_class_with_the_same_sentence(tmp_path: Path, name: str) -> None:
    lines, message, hint = WRONG[name]
    folder = folders.make(tmp_path / "m", code=folders.DOUBLER.replace(PREDICT, lines), golden=())
    with pytest.raises(errors.Invalid) as caught:
        load_folder(folder)
    assert caught.value.message == f"fairlead.yaml: entry: 'model:Doubler': {message}"
    assert caught.value.hint == hint
    finding = next(one for one in check_folder(folder) if one.check == "entry")
    assert (finding.outcome, finding.message, finding.hint) == ("failed", caught.value.message, hint)


@pytest.mark.parametrize(
    "lines",
    [
        PREDICT,
        PREDICT.replace("rows: list[Number]", "rows, *more, verbose=False"),
        "    @staticmethod\n    def predict(rows):",
        "    @classmethod\n    def predict(cls, rows):",
        "    predict = property(lambda self: lambda rows: [])\n    def unused(self, rows):",
        PREDICT + " ...\nclass Base(Doubler): ...\nclass Doubler(Base):\n    def predict_columns(self, batch):",
        PREDICT + " ...\nclass Base(Doubler): ...\nclass Doubler(Base):\n    def predict(self, rows):",
    ],
)
def test_every_method_that_takes_the_batch_alone_is_accepted(tmp_path: Path, lines: str) -> None:
    load_folder(folders.make(tmp_path / "m", code=folders.DOUBLER.replace(PREDICT, lines), golden=()))
