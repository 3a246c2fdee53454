"""PromQL selectors of custom gates: validation, and variables such as $version.

Only plain selectors of counters are accepted. The engine itself cuts windows, detects counter resets per instance and
adds up instances. A query that does any of this already (a rate, a sum, a recorded series) hides resets and gaps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from fairlead.contracts.base import Document

VARIABLES = ("model", "namespace", "version", "identity", "role")
"""The variables of a query, written with a dollar sign; `role` is candidate or stable."""
ARM_VARIABLES = frozenset({"version", "identity", "role"})
"""A query needs at least one of these; otherwise it would count both versions together."""

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_MATCHER = r'[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\\n]|\\.)*"'
_SELECTOR = re.compile(rf"({_NAME})?\s*(?:\{{\s*((?:{_MATCHER})?(?:\s*,\s*{_MATCHER})*\s*,?)\s*\}})?")
_VARIABLE = re.compile(r"\$(?:\{(\w*)\}|(\w+))")
_CALL = re.compile(r"\b([a-z_]+)\s*(?:by|without)?\s*\(")
_RATES = frozenset({"rate", "irate", "increase", "delta", "idelta", "deriv"})


def parts(query: str) -> tuple[str, str]:
    """The metric's name ("" if a matcher gives it) and the matchers of a selector.

    Raises ValueError if the query is not a plain selector; the message says what to write instead.
    """
    text = query.strip()
    found = _SELECTOR.fullmatch(text)
    if found is None or not text:
        raise ValueError(_why_not_a_selector(text))
    name, matchers = found[1] or "", (found[2] or "").strip().rstrip(",")
    if not name and not matchers:
        raise ValueError("the selector is empty: write a metric's name, or matchers in braces")
    if ":" in name:
        raise ValueError(
            f"{name} is a recorded series, computed from others: a gate needs raw counters, so name the counter itself"
        )
    return name, matchers


def fill(query: str, values: Mapping[str, str]) -> str:
    """The query with its variables filled in."""
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], query)


def variables(query: str) -> frozenset[str]:
    """The names of the variables in the query."""
    return frozenset(found[1] or found[2] for found in _VARIABLE.finditer(query))


class PromqlSpec(Document):
    """What a custom gate counts: two selectors of counters, scraped from the same targets."""

    bad: Annotated[str, Field(min_length=1, max_length=1024)]
    """Selector of the counters of bad events, a subset of `total`."""
    total: Annotated[str, Field(min_length=1, max_length=1024)]
    """Selector of the counters of all events."""

    @field_validator("bad", "total")
    @classmethod
    def _counts(cls, query: str) -> str:
        parts(query)
        if unknown := sorted(variables(query) - set(VARIABLES)):
            known = ", ".join(f"${name}" for name in VARIABLES)
            raise ValueError(f"${unknown[0]} is not a variable; use one of {known}")
        return query

    @model_validator(mode="after")
    def _tells_versions_apart(self) -> Self:
        for name, query in (("bad", self.bad), ("total", self.total)):
            if not ARM_VARIABLES & variables(query):
                raise ValueError(
                    f"{name} would count all versions together: select one with $version, $identity or $role, "
                    'for example {version="$version"}'
                )
        return self


def _why_not_a_selector(text: str) -> str:
    call = _CALL.search(text)
    if call is not None and call[1] in _RATES:
        return (
            f"{call[1]}() is a rate, and a gate needs raw counters: name the counter itself; "
            "the gate computes the increase per window from raw samples, without extrapolation"
        )
    if call is not None:
        return (
            f"{call[1]}() hides which instance counted what, and so its restarts: "
            "name the series without a function; the gate adds up the instances"
        )
    if "[" in text:
        return "a range is not needed: name the series; the gate computes the increase per window"
    if re.search(r"\boffset\b|@", text):
        return "a moment is not needed: name the series; it is queried at each window's end"
    return 'not a selector: write one selector such as name{label="value", other=~"regular.*"} and no operators'
