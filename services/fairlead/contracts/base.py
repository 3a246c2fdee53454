"""How our documents read: camelCase outside, snake_case inside, unknown fields refused, nothing mutable."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel


class Document(BaseModel):
    """The base of every document that is stored or sent: frozen, strict about names, camelCase in JSON."""

    # Built when first used: a command that writes one action must not pay for the schema of every other document.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, defer_build=True
    )

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON data, camelCase, defaults included."""
        return self.model_dump(mode="json", by_alias=True)


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def _parse_duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = _DURATION.findall(value)
    if not parts or "".join(n + u for n, u in parts) != value:
        raise ValueError(f"{value!r} is not a duration; write 500ms, 30s, 5m, 2h or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """Seconds as the shortest text that parses back to the same number: 90.0 -> "1m30s"."""
    milliseconds = round(seconds * 1000)
    text = ""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def format_odds(log_e: float) -> str:
    """An e-value, given as its logarithm, as people read it: 0.4, 812, 10^14."""
    if log_e > math.log(1e6):
        return f"10^{log_e / math.log(10):.0f}"
    value = math.exp(max(log_e, -20.0))
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


# Seconds inside, "5m" outside. A plain number is taken for seconds, so that code may write 30.0.
Duration = Annotated[
    float,
    BeforeValidator(_parse_duration),
    Field(ge=0, le=366 * 86400),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"}),
]


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time without a zone says nothing; use UTC")
    return value.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_aware)]


def asked_about(moment: datetime) -> datetime:
    """A time that somebody asks about, to the microsecond: UTC where no zone is given, and a whole second is its last
    moment. Revisions are shown to the second, and whoever copies one's time means that revision, which was written
    within that second and not before it.
    """
    value = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value if value.microsecond else value.replace(microsecond=999_999)


def canonical(document: Mapping[str, Any]) -> str:
    """The one way to write JSON data down for hashing: keys sorted, no spaces, and no NaN, which is not JSON.

    A whole number is written without its point, as RFC 8785 does: an API server gives 10.0 back as 10.
    """
    return json.dumps(_whole(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _whole(inner) for key, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list | tuple) else value


def digest(text: str) -> str:
    """SHA-256 of the text, 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()
