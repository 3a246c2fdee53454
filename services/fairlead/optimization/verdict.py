"""Decides whether an optimised version may stand for its original. Pure: it takes what was measured."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead.optimization.answers import Compared, Difference, Failed
from fairlead.optimization.timing import Ratio, Times

WORST = 3
"""How many of the rows that differ most are named."""
_SHOWN = 160
_OF_A_LIST = 4
_OF_A_TEXT = 40


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is asked of the new version.

    `agreement` is the least share of rows that agree; `tolerance` how far numbers may differ, of their range;
    `max_slower` the most that it may take, in times of the original; `needs_gain`: it must be faster or smaller.
    """

    agreement: float = 0.99
    tolerance: float = 0.001
    max_slower: float = 1.05
    needs_gain: bool = True


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How right both versions are, by labels: the share of right classes, or the mean absolute error of numbers."""

    measure: str
    field: str
    original: float
    candidate: float
    rows: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a version is refused. `rule` is one word for programs."""

    rule: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Result:
    """Two versions, what was measured of them, and why the new one is refused; no reasons: it is accepted."""

    model: str
    original: str
    candidate: str
    how: Sequence[str]
    original_bytes: int
    candidate_bytes: int
    bounds: Bounds
    compared: Compared | None = None
    accuracy: Accuracy | None = None
    times: Times | None = None
    reasons: Sequence[Reason] = ()

    def to_json(self) -> dict[str, Any]:
        """One document; times are in seconds, sizes in bytes. What was not measured is null."""
        return {
            "model": self.model,
            "original": {"version": self.original, "bytes": self.original_bytes},
            "candidate": {"version": self.candidate, "bytes": self.candidate_bytes},
            "how": [*self.how],
            "accepted": not self.reasons,
            "reasons": [dataclasses.asdict(one) for one in self.reasons],
            "bounds": dataclasses.asdict(self.bounds),
            "agreement": agreement_json(self.compared) if self.compared is not None else None,
            "accuracy": dataclasses.asdict(self.accuracy) if self.accuracy else None,
            "times": _finite(dataclasses.asdict(self.times)) if self.times else None,
        }


def agreement_json(found: Compared) -> dict[str, Any]:
    """How answers agree, as a part of a document."""
    return {
        "rows": len(found.differences),
        "unanswered_by_original": found.unanswered,
        "share": found.agreement if found.differences else None,
        "sure": found.sure,
        "fields": [_finite(dataclasses.asdict(one)) for one in found.fields],
        "differ_most": [
            {
                "name": one.asked.name,
                **({"revision": one.asked.revision} if one.asked.revision else {}),
                "field": one.field,
                "by": one.by if math.isfinite(one.by) else None,
                "agrees": one.agrees,
                "row": _finite(one.asked.row),
                "original": _finite(one.asked.original),
                "candidate": {"error": why.why} if isinstance(why := one.asked.candidate, Failed) else _finite(why),
            }
            for one in found.worst(WORST)
        ],
    }


def _finite(value: Any) -> Any:
    """The same, with null for what JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def of_answers(found: Compared, bounds: Bounds) -> list[Reason]:
    """Why the answers are refused; nothing if they agree."""
    if not found.differences:
        hint = "Give rows as clients send them: --data FILE."
        return [Reason("rows", "the original answers none of the rows, so nothing shows that both agree", hint)]
    if found.agreement >= bounds.agreement:
        return []
    rows, agreeing = len(found.differences), sum(one.agrees for one in found.differences)
    message = f"{agreeing} of {rows} rows agree ({found.agreement:.4g}; wanted {bounds.agreement:g}): "
    hint = "Accept less with --agreement, or larger differences of numbers with --tolerance; or keep the original."
    return [Reason("agreement", message + told(found.worst(1)[0]), hint)]


def told(one: Difference) -> str:
    """A row with both answers, in one sentence."""
    of = f" of {one.asked.revision}" if one.asked.revision else ""
    row = f"{one.asked.name}{of} {shortened(one.asked.row)}"
    if isinstance(one.asked.candidate, Failed):
        why = one.asked.candidate.why
        return f"{row}: answered {shortened(one.asked.original)}, and now not at all: {why}"
    was, now = shortened(one.asked.original), shortened(one.asked.candidate)
    by = f" by {one.by:.3g}" if math.isfinite(one.by) else ""
    return f"{row}: answered {was}, and now {now} ({one.field} differs{by})"


def shortened(value: Any) -> str:
    """JSON on one line of a bounded length: the first values of a list, with five digits of each number."""
    text = json.dumps(_short(value), ensure_ascii=False).replace('"..."', "...")
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _short(value: Any, *, is_listed: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {name: _short(one) for name, one in value.items()}
    if isinstance(value, list):
        return [
            *(_short(one, is_listed=True) for one in value[:_OF_A_LIST]),
            *(["..."] if len(value) > _OF_A_LIST else []),
        ]
    if is_listed and isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.5g}")
    return f"{value[:_OF_A_TEXT]}..." if isinstance(value, str) and len(value) > _OF_A_TEXT else value


def of_costs(times: Times, original_bytes: int, candidate_bytes: int, bounds: Bounds) -> list[Reason]:
    """Why what the version costs is refused: it is slower, or neither faster nor smaller."""
    for name, one in (("p50", times.p50), ("p95", times.p95)):
        if one.is_slower_than(bounds.max_slower):
            message = f"it is slower: its {name} is {times_as_text(one)} the original's"
            return [Reason("slower", message, "Keep the original, or accept the time with --max-slower.")]
    if not bounds.needs_gain or candidate_bytes < original_bytes or times.p50.is_faster:
        return []
    message = (
        f"nothing is gained: it has {candidate_bytes} bytes and the original {original_bytes}, and its p50 is "
        f"{times_as_text(times.p50)} the original's: not shown to be faster"
    )
    return [Reason("gain", message, "Keep the original. If it is wanted for another reason, add --without-gain.")]


def times_as_text(one: Ratio) -> str:
    """A ratio with its interval: "1.20 times (1.15 to 1.26)"."""
    return f"{one.median:.3g} times ({one.low:.3g} to {one.high:.3g})"
