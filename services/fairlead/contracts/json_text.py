"""Reads JSON text that a person, a library or another program wrote.

Python's parser and all code behind it call themselves for each level of nesting, so text that nests too deeply would
end in a RecursionError somewhere. Here it is a ValueError with a sentence, like any other text that is not read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

MAX_DEPTH = 100
"""How many lists and objects may be inside one another. Real documents have about ten, and pydantic reads 200."""


def read(
    text: str | bytes,
    *,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
    constant: Callable[[str], Any] | None = None,
) -> Any:
    """The value of a JSON text. `pairs` makes the value of an object, which must be a dictionary.

    `constant` makes the value of NaN, Infinity and -Infinity, which are no JSON; without it they are numbers.

    Raises ValueError if the text is not JSON, or has more than `MAX_DEPTH` lists and objects inside one another.
    """
    try:
        found = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except RecursionError:
        raise _too_deep() from None
    level = [found]
    for _ in range(MAX_DEPTH):
        level = [part for outer in level for part in _inside(outer) if isinstance(part, dict | list)]
        if not level:
            return found
    raise _too_deep()


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> ValueError:
    return ValueError(f"it is nested too deeply: more than {MAX_DEPTH} lists and objects are inside one another")
