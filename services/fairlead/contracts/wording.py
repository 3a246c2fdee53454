"""Says in words what a text must look like, for errors that would otherwise print a regular expression.

The patterns are written here again, because importing every contract would slow every command down. A test checks that
each pattern of the contracts is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    """What a text is, and how to write it, with an example."""

    noun: str
    """With its article: `a version`."""
    shape: str
    is_shown: bool = True
    """Whether an error may show the value. False where it may contain a password."""

    def refuse(self, value: object) -> str:
        """The sentence that refuses a value."""
        return f"{repr(str(value)) if self.is_shown else 'this'} is not {self.noun}; write {self.shape}"


MODEL_NAME = Wording(
    "a model name", 'lower-case letters, digits and "-", at most 40, a letter or digit first and last: iris, fraud-eu'
)
VERSION = Wording(
    "a version",
    'lower-case letters, digits, "." and "-", at most 40, a letter or digit first and last: 1.0.0, 2, 3.1-rc1',
)
SHA256 = Wording("a SHA-256", "its 64 lower-case hex digits, as sha256sum prints them")
DURATION = Wording("a duration", "500ms, 30s, 5m, 2h or 1h30m")
PROMETHEUS_URL = Wording(
    "a URL of a Prometheus",
    "http:// or https:// and the host, without user, query or fragment: http://prometheus:9090",
    is_shown=False,
)

WORDINGS: Mapping[str, Wording] = {
    r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$": MODEL_NAME,
    r"^[0-9a-z]([0-9a-z.-]{0,38}[0-9a-z])?$": VERSION,
    r"^[0-9a-f]{64}$": SHA256,
    r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$": Wording(
        "a tensor name", 'letters, digits, "_", "." and "-", a letter or "_" first: sepal_length'
    ),
    r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$": Wording("an entry", "module:Class, without .py: iris_model:Iris"),
    r"^[a-z][a-z0-9-]{0,63}$": Wording(
        "a header name", 'lower-case letters, digits and "-", a letter first, at most 64: x-user-id'
    ),
    r"^[0-9a-f]{10}$": Wording("an identity", "10 lower-case hex digits: 0a1b2c3d4e"),
    r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$": Wording(
        "a name", 'lower-case letters, digits and "-", a letter or digit first and last: slow-candidate'
    ),
    r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$": Wording(
        "an action name", 'lower-case letters, digits, "." and "-", a letter or digit first and last: iris-rollback-1'
    ),
    r"^[a-zA-Z_][a-zA-Z0-9_]*$": Wording("a label name", 'letters, digits and "_", no digit first: pod'),
    r"^https?://[^\s/?#@]+(/[^\s?#]*)?$": PROMETHEUS_URL,
    r"^(\*|(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])$": Wording(
        "a host", 'its name in lower case without a port, "*." and a name, or "*" for all: models.example'
    ),
    r"^(\*|[a-z][a-z0-9+.-]*://[^\sA-Z,/?#@*]+)$": Wording(
        "an origin", "scheme, host and port as browsers send them, in lower case, no path: https://app.example.com"
    ),
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$": Wording(
        "a client name", 'lower-case letters, digits and "-", a letter or digit first and last, at most 63: web-shop'
    ),
    r"^/.+$": Wording("an absolute path", "one that begins with /: /etc/ssl/certs/ca-certificates.crt"),
    r"^sha256:[0-9a-f]{64}$": Wording(
        "the hash of a key",
        "sha256: and the 64 hex digits that `printf %s KEY | sha256sum` prints; the key itself stays with the client",
        is_shown=False,
    ),
    r"^https://[^\s/?#@:\[\]]+(:[0-9]{1,5})?(/[^\s#]*)?$": Wording(
        "the address of an issuer's public keys", "https:// and the host, without user: https://login.example/jwks.json"
    ),
    r"^[a-z0-9-]+\.[a-z0-9-]+$": Wording("a Service", "its name, a dot and its namespace: iris-1f0c2e4d5a.models"),
}
"""The words for the patterns of the contracts and settings, by pattern."""


def pattern_mismatch(pattern: str, value: object) -> str | None:
    """The sentence that refuses a value by its pattern; None for a pattern without words."""
    found = WORDINGS.get(pattern)
    return found.refuse(value) if found else None


_SHAPES: Mapping[str, str] = {
    "tuple": "a list",
    "list": "a list",
    "model": "fields, as name: value",
    "dict": "fields, as name: value",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}
"""What a value must be, by the beginning of pydantic's error type."""
_OF_TEN_THOUSAND = frozenset({"weight", "share"})
"""Whole numbers that are shares of a model's requests."""


def wrong_type(error: str, value: object, field: str) -> str | None:
    """The sentence that refuses a value of the wrong type; None for another kind of error."""
    kind, _, what = error.partition("_")
    shape = _SHAPES.get(kind)
    if shape is None or what not in ("type", "parsing", "from_float"):
        return None
    if value is None:
        return f"is empty: remove the line or give {shape}"
    if what == "type" and kind in ("int", "float", "bool"):
        return None
    if kind in ("tuple", "list", "model", "dict"):
        return f"must be {shape}"
    return f"must be {shape}, not {str(value)[:40]!r}{_share_hint(kind, value, field)}"


def _share_hint(kind: str, value: object, field: str) -> str:
    """How to write a share that was written as 0.5, or a probability that was written as 5%."""
    percent = _percent(value)
    if percent is None:
        return ""
    if kind == "int" and field in _OF_TEN_THOUSAND:
        return f"; write {percent:g}% or {percent * 100:.0f} (1/10,000)"
    return f"; {percent:g} % is {percent / 100:g}" if kind == "float" else ""


def _percent(value: object) -> float | None:
    if isinstance(value, float) and 0 < value < 1:
        return value * 100
    if not isinstance(value, str) or not value.rstrip().endswith("%"):
        return None
    try:
        found = float(value.rstrip().removesuffix("%"))
    except ValueError:
        return None
    return found if 0 <= found <= 100 else None  # noqa: PLR2004 - percent
