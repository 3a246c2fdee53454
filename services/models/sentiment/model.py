"""The example model sentiment: classifies a sentence of a product review as praise or complaint."""

from pathlib import Path
from typing import Literal

import joblib
from pydantic import BaseModel, Field

import fairlead

Label = Literal["negative", "positive"]
MAX_CHARACTERS = 2000  # the longest training sentence has under 900; far longer text was never seen


class Review(BaseModel):
    """One sentence, or a few."""

    text: str = Field(pattern=r"\S", max_length=MAX_CHARACTERS, description="English text, not blank")


class Sentiment(BaseModel):
    """The more probable label, and how probable praise is."""

    label: Label
    positive: float = Field(ge=0, le=1, description="Probability that the text is praise")


class SentimentModel(fairlead.Model[Review, Sentiment]):
    """A scikit-learn pipeline from text to the probabilities of two classes."""

    def load(self, artifact: Path) -> None:
        self.pipeline = joblib.load(artifact)
        self.positive = self.pipeline.classes_.tolist().index("positive")

    def predict(self, rows: list[Review]) -> list[Sentiment]:
        probabilities = self.pipeline.predict_proba([row.text for row in rows])[:, self.positive]
        return [Sentiment(label="positive" if p >= 0.5 else "negative", positive=p) for p in probabilities.tolist()]
