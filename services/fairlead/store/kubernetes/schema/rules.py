"""CEL validation rules for the API server. They refuse nothing that the contracts accept.

A rule is attached to the part of the schema whose fields it uses; `self` is that part. Only the contracts check what no
rule covers (a time zone, for example); such an error appears in the route's status.
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

# Go durations have no days, so a timeout in days is checked by the contracts only. A missing value is the default.
_REQUEST = "(has(self.request) ? self.request : '10s')"
_NO_TRY = "!has(self.perTry) || self.perTry.contains('d')"
TRY_FITS: Rules = [
    rule(f"{_NO_TRY} || duration(self.perTry) > duration('0s')", "perTry must be above 0"),
    rule(
        f"{_NO_TRY} || {_REQUEST}.contains('d') || duration(self.perTry) <= duration({_REQUEST})",
        "perTry must be at most request (10s unless given)",
    ),
]

WAITS: Rules = [
    rule(
        "!has(self.after) || self.after.contains('d') || duration(self.after) >= duration('1s')",
        "after must be at least 1s",
    ),
    rule(
        "!has(self.wait) || (!self.wait.contains('d') && duration(self.wait) > duration('0s')"
        " && duration(self.wait) <= duration('10m'))",
        "wait must be above 0 and at most 10m",
    ),
]

STEPS_RISE: Rules = [
    rule(
        "self.map(s, s.weight).isSorted() && self.all(s, self.exists_one(t, t.weight == s.weight))",
        "steps must rise: each weight must be above the one before",
    )
]

GATES_ONCE: Rules = [rule("self.all(g, self.exists_one(h, h.name == g.name))", "each gate may be named once only")]

NEVER_CHANGES: Rules = [rule("self == oldSelf", "the spec is never changed after creation; create another object")]

# Not `==` with a concatenated name, because the API server cannot estimate the cost of concatenation.
_NUMBER = "self.metadata.name.substring(self.spec.route.size() + 1)"
NAMED_BY_PLACE: Rules = [
    rule(
        "self.metadata.name.startsWith(self.spec.route + '-')"
        f" && !{_NUMBER}.startsWith('0') && int({_NUMBER}) == self.spec.seq",
        "a revision must be named <route>-<seq>, so that only one can be the next",
    )
]

ROUTE_NAME: Rules = [
    rule(
        "self.metadata.name.matches('^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$')",
        "a route's name may have up to 40 lower-case letters, digits and '-'",
    )
]

ACTION_NAME: Rules = [rule("self.metadata.name.size() <= 63", "an action's name may have up to 63 characters")]

OUTCOME_STAYS: Rules = [
    rule(
        "!has(oldSelf.outcome) || oldSelf.outcome == 'pending' || self.outcome == oldSelf.outcome",
        "the outcome of a finished action cannot be changed",
    )
]


def version_names(pattern: str) -> Rules:
    """A rule for the keys of `versions`, because OpenAPI has no pattern for keys."""
    message = "a version's name may have up to 40 lower-case letters, digits, '.' and '-'"
    return [rule(f"self.all(v, v.matches('{pattern}'))", message)]


def add(schema: dict[str, Any], rules: Rules) -> None:
    """Attach rules to a part of a schema."""
    schema.setdefault("x-kubernetes-validations", []).extend(rules)
