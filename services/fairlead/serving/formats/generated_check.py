"""What the two generated checks of answers share: a function is written as one expression that follows a core schema.

A walk over the schema for each answer would take longer than writing the answer. The expression does the same walk
once, when the answer type is known, and an answer costs only the comparisons.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


class Source(ABC):
    """Writes the expression for a schema. `names` are the classes, values and functions that it refers to."""

    too_deep = False
    """What the function says of a value that is nested deeper than Python can follow."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self._variables = 0
        self._definitions: dict[str, Mapping[str, Any]] = {}
        self._functions: dict[str, str] = {}

    def function(self, schema: Mapping[str, Any]) -> Check:
        """The function that says whether a value fits. It never raises."""
        found: Check = self.names[self._function(f"check{len(self._functions)}", schema)]
        return found

    def condition(self, schema: Mapping[str, Any], value: str) -> str:
        """The expression that is true if `value`, an expression itself, fits the schema."""
        match schema:
            case {"type": "definitions", "definitions": definitions, "schema": inside}:
                self._definitions.update({one["ref"]: one for one in definitions})
                return self.condition(inside, value)
            case {"type": "definition-ref", "schema_ref": name}:
                return f"{self._defined(name)}({value})"
        return self.kind(schema, value)

    @abstractmethod
    def kind(self, schema: Mapping[str, Any], value: str) -> str:
        """The expression for a schema that is neither a definition nor a reference to one."""

    def variable(self) -> str:
        """A name for a value that the expression needs more than once."""
        self._variables += 1
        return f"v{self._variables}"

    def named(self, value: Any) -> str:
        """The name by which the expression refers to a class or a value."""
        known = (name for name, one in self.names.items() if one is value)
        name = next(known, f"n{len(self.names)}")
        self.names[name] = value
        return name

    def _defined(self, reference: str) -> str:
        """A function of its own, because a type can contain itself."""
        if reference not in self._functions:
            self._functions[reference] = f"check_part{len(self._functions)}"
            self._function(self._functions[reference], self._definitions[reference])
        return self._functions[reference]

    def _function(self, name: str, schema: Mapping[str, Any]) -> str:
        expression = self.condition(schema, "value")
        # An answer that was never validated may lack a field, and comparing what it has may raise anything.
        body = f"    try:\n        return {expression}\n    except RecursionError:\n        return {self.too_deep}\n"
        exec(f"def {name}(value):\n{body}    except Exception:\n        return False\n", self.names)
        return name
