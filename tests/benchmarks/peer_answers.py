"""Whether servers with different protocols answered the same."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any


def differs(ours: bytes, theirs: bytes) -> str:
    """How another server's answer differs from Fairlead's; empty if it does not.

    Its numbers that are not whole must be those of Fairlead, in their order, and it must have each text of Fairlead's.
    What its protocol adds are names, shapes and datatypes.
    """
    own, other = list(_values(json.loads(ours))), list(_values(json.loads(theirs)))
    numbers, others = ([one for one in values if isinstance(one, float)] for values in (own, other))
    if len(numbers) != len(others) or not all(map(_is_close, numbers, others)):
        return f"{others} instead of {numbers}"
    if missing := [one for one in own if isinstance(one, str) and one not in other]:
        return f"without {missing[0]!r}"
    return ""


def _values(document: Any) -> Iterator[Any]:
    if isinstance(document, dict | list):
        for one in document.values() if isinstance(document, dict) else document:
            yield from _values(one)
    else:
        yield document


def _is_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6)
