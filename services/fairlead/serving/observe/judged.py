"""`Judged`: what of an answer can be compared with the truth, a class or a number. Chosen once per answer type."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from fairlead.contracts.profile import LABEL, OTHER, CategoryFeature, Profile, is_plain
from fairlead.contracts.quality import MOST_CLASSES
from fairlead.profile.bins import text_of
from fairlead.serving.observe.compared_fields import Reader

_SHOWN = 10


class Judged:
    """Reads predictions and truths of one model version, as clients send them.

    The classes are those of the answer's type, or else those of the profile. It is a field of the answer as rollouts
    compare it: the class, or else the first single number.
    """

    def __init__(self, answer_type: type[BaseModel], profile: Profile | None) -> None:
        reader = Reader(answer_type)
        self.field = reader.label or reader.number
        """The compared field; None if an answer has neither a class nor a single number."""
        self.is_class = reader.label is not None
        """Whether it is a class; otherwise it is a number."""
        choices = [text for choice in reader.choices if (text := text_of(choice)) is not None]
        self._allowed = frozenset(choices)
        own = (choices or _named(profile))[:MOST_CLASSES] if self.is_class else []
        self._places = {value: place for place, value in enumerate(own)}
        self._is_bool = self._allowed == _BOOLEANS
        named = [value if is_plain(value) else f"v{place:02}" for place, value in enumerate(own)]
        self.classes: tuple[str, ...] = (*named, OTHER) if self.is_class else ()
        """The names of the classes, the last one for all that have no place; empty for numbers."""
        field = answer_type.model_fields[self.field] if self.field else None
        self._sent_as = (field.serialization_alias or field.alias or self.field) if field else None

    def place(self, value: str | None) -> int:
        """The index of a class in `classes`."""
        return self._places.get(value, len(self._places)) if value is not None else len(self._places)

    @staticmethod
    def text(value: Any) -> str | None:
        """The class in an answer, as `read_class` gives it."""
        return text_of(value)

    def read_class(self, value: Any, *, may_be_none: bool = False) -> str | None:
        """A class as clients send it, or a whole answer, which has it. None: no class of the model.

        Raises ValueError, which says what is wrong.
        """
        value = self._of_answer(value)
        if value is None and may_be_none:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # tables make floats of whole numbers
        text = text_of(value) if isinstance(value, str | int) else None
        if self._is_bool and text is not None:
            text = _SPELLED.get(text.lower(), text)
        if text is None:
            raise ValueError(f"must be a class{self._known()}")
        if self._allowed and text not in self._allowed:
            null = "; null means that none of them is true" if may_be_none else ""
            raise ValueError(f"is no class of this model{self._known()}{null}")
        return text

    def read_number(self, value: Any) -> float:
        """A number as clients send it, or a whole answer, which has it. Raises ValueError, which says what is wrong."""
        value = self._of_answer(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("must be a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not abs(number) <= _LARGEST:
            raise ValueError(f"must be a finite number, at most {_LARGEST:g}")
        return number

    def _of_answer(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if self._sent_as not in value:
            raise ValueError(f"an answer has the field {self._sent_as!r}; this has none")
        return value[self._sent_as]

    def _known(self) -> str:
        return f"; there are {', '.join(sorted(self._allowed)[:_SHOWN])}" if self._allowed else ""


_BOOLEANS = frozenset({"false", "true"})
_SPELLED = {"true": "true", "false": "false", "1": "true", "0": "false"}
"""How tables have booleans."""
_LARGEST = 1e150
"""The square of a larger number is no float."""


def _named(profile: Profile | None) -> Sequence[str]:
    """The classes that a profile has seen, where its bins have their names."""
    for one in profile.answers if profile else ():
        if isinstance(one, CategoryFeature) and one.field == LABEL and one.named:
            return one.values
    return ()
