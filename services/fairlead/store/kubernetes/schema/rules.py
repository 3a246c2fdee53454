"""What the API server itself refuses, in CEL: nothing that the contracts would accept.

A rule stands where its fields are; `self` is that part of the object. What is not said here (a time zone, say) only
the contracts refuse, and the route's status tells.
"""

from __future__ import annotations

from typing import Any

Rules = list[dict[str, str]]


def rule(expression: str, message: str, **more: str) -> dict[str, str]:
    """One entry of `x-kubernetes-validations`."""
    return {"rule": expression, "message": message, **more}


NAMES_EXIST: Rules = [
    rule(
        "self.target.version in self.versions",
        "target.version must be one of versions",
        messageExpression="'target.version ' + self.target.version + ' is not one of versions'",
        fieldPath=".target.version",
    ),
    rule(
        "!has(self.mirrors) || self.mirrors.all(m, m.version in self.versions)", "each mirror must be one of versions"
    ),
]

# Go has no day; a timeout of days is left to the contracts. What is not given is the contracts' default.
_REQUEST = "(has(self.request) ? self.request : '10s')"
_PER_TRY = "(has(self.perTry) ? self.perTry : '2s')"
TRY_FITS: Rules = [
    rule(
        f"{_PER_TRY}.contains('d') || duration({_PER_TRY}) > duration('0s')",
        "perTry must be above 0",
    ),
    rule(
        f"{_PER_TRY}.contains('d') || {_REQUEST}.contains('d') || duration({_PER_TRY}) <= duration({_REQUEST})",
        "perTry (2s unless given) must be at most request (10s unless given)",
    ),
]

STEPS_RISE: Rules = [
    rule(
        "self.map(s, s.weight).isSorted() && self.all(s, self.exists_one(t, t.weight == s.weight))",
        "steps must rise: each weight above the one before",
    )
]

GATES_ONCE: Rules = [rule("self.all(g, self.exists_one(h, h.name == g.name))", "each gate may be named once")]

NEVER_CHANGES: Rules = [rule("self == oldSelf", "it is never changed after it was created; create another")]

# Not `==` with a name put together: what such a text costs, the API server cannot tell.
_NUMBER = "self.metadata.name.substring(self.spec.route.size() + 1)"
NAMED_BY_PLACE: Rules = [
    rule(
        "self.metadata.name.startsWith(self.spec.route + '-')"
        f" && !{_NUMBER}.startsWith('0') && int({_NUMBER}) == self.spec.seq",
        "a revision is named <route>-<seq>: so only one can be the next",
    )
]

ROUTE_NAME: Rules = [
    rule(
        "self.metadata.name.matches('^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$')",
        "a route's name is lower-case letters, digits and '-', at most 40: revisions are named after it",
    )
]

ACTION_NAME: Rules = [
    rule("self.metadata.name.size() <= 63", "an action's name has at most 63 characters: the ledger repeats it")
]

OUTCOME_STAYS: Rules = [
    rule(
        "!has(oldSelf.outcome) || oldSelf.outcome == 'pending' || self.outcome == oldSelf.outcome",
        "a finished action stays as it finished",
    )
]


def version_names(pattern: str) -> Rules:
    """The keys of `versions`: OpenAPI has no pattern for keys."""
    told = "a version's name is lower-case letters, digits, '.' and '-', at most 40"
    return [rule(f"self.all(v, v.matches('{pattern}'))", told)]


def add(schema: dict[str, Any], rules: Rules) -> None:
    """Put rules on a part of a schema."""
    schema.setdefault("x-kubernetes-validations", []).extend(rules)
