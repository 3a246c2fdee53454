"""Names that the fields of a row can have, for columns of any names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel

_LONGEST = 60


def field_names(columns: Sequence[str]) -> list[str]:
    """A name for each column. It is the column's own where a field can have it: letters, digits and "_"."""
    found: list[str] = []
    for column in columns:
        name = re.sub(r"\W+", "_", column, flags=re.ASCII).strip("_")[:_LONGEST] or "column"
        name = f"column_{name}"[:_LONGEST] if name[0].isdigit() else name
        name = f"{name}_" if hasattr(BaseModel, name) else name  # it would hide an attribute of pydantic
        first, number = name, 2
        while name in found:
            name, number = f"{first}_{number}", number + 1
        found.append(name)
    return found
