"""Documents as they stand in a row, read once: every turn of the engine asks for the same ones again."""

from __future__ import annotations

from functools import lru_cache

from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Revision, Window
from fairlead.contracts.route import Route

KEPT = 256
"""Of each kind: what one machine has, with room for a history that is being looked at."""

# Nobody may change what these give: the next reader gets the same object. All raise pydantic's ValidationError.
route = lru_cache(maxsize=KEPT)(Route.model_validate_json)
revision = lru_cache(maxsize=KEPT)(Revision.model_validate_json)
window = lru_cache(maxsize=KEPT)(Window.model_validate_json)
instance = lru_cache(maxsize=KEPT)(Instance.model_validate_json)
