from __future__ import annotations

from pydantic import BaseModel, Field

from fairlead.serving.inference.model_calls import explain


class Weight(BaseModel):
    feature: str = Field(serialization_alias="of")


class Explains:
    def explain(self, rows: list[int]) -> list[Weight]:
        return [Weight(feature=str(row)) for row in rows]


def test_an_explanation_has_the_names_of_json_as_an_answer_has() -> None:
    assert explain(Explains())([[1, 2]]) == [b'[{"of":"1"},{"of":"2"}]']  # type: ignore[arg-type]
