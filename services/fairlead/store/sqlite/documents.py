"""Documents as they stand in a row, read once: every turn of the engine asks for the same routes and heads again."""

from __future__ import annotations

from functools import lru_cache

from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route

KEPT = 256
"""Of each kind: the routes and heads of one machine, with room for a history that is being looked at."""


@lru_cache(maxsize=KEPT)
def route(text: str) -> Route:
    """The route that a row holds. Nobody may change it: the next reader gets the same object."""
    return Route.model_validate_json(text)


@lru_cache(maxsize=KEPT)
def revision(text: str) -> Revision:
    """The revision that a row holds. Raises pydantic's ValidationError."""
    return Revision.model_validate_json(text)
