"""The base class of all documents, and shared field types: durations, times, hashes.

Documents are camelCase in JSON and snake_case in Python. They are immutable and do not accept unknown fields.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel


class Document(BaseModel):
    """The base of every document that is stored or sent: frozen, no unknown fields, camelCase in JSON."""

    # Validators are built at first use: a command that writes one action should not build those of all documents.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, defer_build=True
    )

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON data, camelCase, defaults included."""
        return self.model_dump(mode="json", by_alias=True)


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds_of(text: str) -> float | None:
    """A duration such as "1h30m" in seconds; None if the text is no duration."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


WRITTEN_BY_A_PERSON = "written by a person"
"""A key of pydantic's validation context: durations without a unit are refused, as the charts and the CRD do."""
_SHAPE = "write 500ms, 30s, 5m, 2h or 1h30m"


def _parse_duration(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        if isinstance(value, int | float) and WRITTEN_BY_A_PERSON in (info.context or ()):
            raise ValueError(_without_unit(value))
        return value
    seconds = seconds_of(value)
    if seconds is None:
        raise ValueError(f"{value!r} is not a duration; {_SHAPE}")
    return seconds


def _without_unit(value: float) -> str:
    """The sentence that refuses a number, or a boolean, where a duration is meant."""
    text = json.dumps(int(value) if not isinstance(value, bool) and float(value).is_integer() else value)
    if seconds_of(f"{text}s") is None:
        return f"{text} is not a duration; {_SHAPE}"
    return f"{text} has no unit; write {text}s for seconds, or another unit: 500ms, 5m, 2h, 1h30m"


def format_duration(seconds: float) -> str:
    """Seconds as the shortest text that parses back to the same number: 90.0 -> "1m30s"."""
    milliseconds = round(seconds * 1000)
    text = ""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def format_e_value(log_e: float) -> str:
    """An e-value, given as its natural logarithm, as text: 0.4, 812, 10^14."""
    if log_e > math.log(1e6):
        return f"10^{log_e / math.log(10):.0f}"
    value = math.exp(max(log_e, -20.0))
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


# Seconds in Python, "5m" in JSON. A plain number counts as seconds, so that code may write 30.0; a person may not.
Duration = Annotated[
    float,
    BeforeValidator(_parse_duration),
    Field(ge=0, le=366 * 86400),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"}),
]


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("the time has no time zone; use UTC")
    return value.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_aware)]


def as_query_time(moment: datetime) -> datetime:
    """A time given by a user, ready for a ledger query: UTC if it has no zone, and a whole second becomes its last
    microsecond. Revisions are displayed to the second, so a time copied from the display must find a revision that was
    written within that second.
    """
    value = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value if value.microsecond else value.replace(microsecond=999_999)


def canonical(document: Mapping[str, Any]) -> str:
    """Canonical JSON for hashing: sorted keys, no spaces. NaN is an error, because JSON has none.

    A whole number is written without a decimal point, as in RFC 8785, because an API server returns 10.0 as 10.
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
