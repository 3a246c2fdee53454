"""Queries of custom gates: series selectors with variables, and why nothing else is accepted.

A gate counts. Its windows are cut here, each instance's restarts are seen here, and instances are added here; a query
that has done any of that already (a rate, a sum, a recorded series) cannot be checked any more, so it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from fairlead.contracts.base import Document

VARIABLES = ("model", "namespace", "version", "identity", "role")
"""What a query may name with a dollar sign; `role` is candidate or stable."""
ARM_VARIABLES = frozenset({"version", "identity", "role"})
"""Without one of these both versions would be counted as one."""

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_MATCHER = r'[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\\n]|\\.)*"'
_SELECTOR = re.compile(rf"({_NAME})?\s*(?:\{{\s*((?:{_MATCHER})?(?:\s*,\s*{_MATCHER})*\s*,?)\s*\}})?")
_VARIABLE = re.compile(r"\$(?:\{(\w*)\}|(\w+))")
_CALL = re.compile(r"\b([a-z_]+)\s*(?:by|without)?\s*\(")
_RATES = frozenset({"rate", "irate", "increase", "delta", "idelta", "deriv"})


def parts(query: str) -> tuple[str, str]:
    """The metric's name ("" where a matcher has it) and the matchers of a selector.

    Raises ValueError saying what else it is, and what to write.
    """
    text = query.strip()
    found = _SELECTOR.fullmatch(text)
    if found is None or not text:
        raise ValueError(_refusal(text))
    name, matchers = found[1] or "", (found[2] or "").strip().rstrip(",")
    if not name and not matchers:
        raise ValueError("select something: a metric's name, or matchers in braces")
    if ":" in name:
        raise ValueError(
            f"{name} is a recorded series, computed from others: a gate counts, so name the counter itself"
        )
    return name, matchers


def fill(query: str, values: Mapping[str, str]) -> str:
    """The query with its variables filled in."""
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], query)


def variables(query: str) -> frozenset[str]:
    """What it names with a dollar sign."""
    return frozenset(found[1] or found[2] for found in _VARIABLE.finditer(query))


class PromqlSpec(Document):
    """What a custom gate counts: two selectors of counters, scraped from the same targets."""

    bad: Annotated[str, Field(min_length=1, max_length=1024)]
    """Selector of the counters of what went wrong; a part of what `total` counts."""
    total: Annotated[str, Field(min_length=1, max_length=1024)]
    """Selector of the counters of everything."""

    @field_validator("bad", "total")
    @classmethod
    def _counts(cls, query: str) -> str:
        parts(query)
        if unknown := sorted(variables(query) - set(VARIABLES)):
            known = ", ".join(f"${name}" for name in VARIABLES)
            raise ValueError(f"${unknown[0]} is not a variable; there are {known}")
        return query

    @model_validator(mode="after")
    def _tells_versions_apart(self) -> Self:
        for name, query in (("bad", self.bad), ("total", self.total)):
            if not ARM_VARIABLES & variables(query):
                raise ValueError(
                    f"{name} would count every version: select one with $version, $identity or $role, "
                    'for example {version="$version"}'
                )
        return self


def _refusal(text: str) -> str:
    call = _CALL.search(text)
    if call is not None and call[1] in _RATES:
        return (
            f"{call[1]}() is a rate, and a gate counts: name the counter itself; "
            "windows are cut here, from raw samples and without extrapolation"
        )
    if call is not None:
        return (
            f"{call[1]}() hides which instance counted what, and so its restarts: "
            "name the series, instances are added here"
        )
    if "[" in text:
        return "a range is not needed: name the series, windows are cut here"
    if re.search(r"\boffset\b|@", text):
        return "a moment is not needed: name the series, it is asked for at each window's end"
    return 'not a selector: write name{label="value", other=~"regular.*"}, one selector and nothing around it'
