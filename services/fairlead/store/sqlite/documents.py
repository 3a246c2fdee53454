"""Cached parsing of stored documents: every tick of the engine reads the same rows again."""

from __future__ import annotations

from functools import lru_cache

from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route
from fairlead.contracts.window import Window

CACHE_SIZE = 256
"""Per kind: enough for all documents of one machine, and for reading a history."""

# Callers must not change the returned objects: the next reader gets the same one. All raise pydantic's ValidationError.
route = lru_cache(maxsize=CACHE_SIZE)(Route.model_validate_json)
revision = lru_cache(maxsize=CACHE_SIZE)(Revision.model_validate_json)
window = lru_cache(maxsize=CACHE_SIZE)(Window.model_validate_json)
instance = lru_cache(maxsize=CACHE_SIZE)(Instance.model_validate_json)
