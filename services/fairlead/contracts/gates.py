"""Gates as a spec names them: which there are, what each may be told, and what is refused with the field's path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from fairlead.contracts.base import Document, Duration
from fairlead.contracts.latency import check_boundary
from fairlead.contracts.promql import PromqlSpec
from fairlead.errors import Invalid

GateName = Literal[
    "ready", "smoke", "acknowledged", "capacity", "errors", "starved", "rejections", "latency", "classes", "agreement"
]
"""Every gate of ours. One place, so that an unknown name is refused wherever a spec comes in, with its path."""

CUSTOM = "custom-"
"""How the names of a user's own gates begin."""
_CUSTOM = rf"{CUSTOM}[a-z0-9]([a-z0-9-]{{0,30}}[a-z0-9])?"

EVIDENCE: frozenset[str] = frozenset({"errors", "starved", "rejections", "latency", "classes", "agreement"})
"""Gates that share the release's alpha."""


def is_custom(name: str) -> bool:
    """Whether it is a gate of the user's own, counted by Prometheus."""
    return name.startswith(CUSTOM)


def is_evidence(name: str) -> bool:
    """Whether a gate shares the release's alpha."""
    return name in EVIDENCE or is_custom(name)


def _is_a_gate(name: str) -> str:
    if name in get_args(GateName) or re.fullmatch(_CUSTOM, name):
        return name
    ours = ", ".join(get_args(GateName))
    raise ValueError(f"there is no gate {name!r}: ours are {ours}; your own are called {CUSTOM}<lower-case-name>")


AnyGate = Annotated[
    str,
    AfterValidator(_is_a_gate),
    WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(get_args(GateName))}|{_CUSTOM})$", "maxLength": 40}),
]

_COMPARING = frozenset({"weight", "margin", "margin_share", "acceptable"})
_SETTINGS: Mapping[str, frozenset[str]] = {
    "errors": _COMPARING,
    "rejections": _COMPARING,
    "latency": _COMPARING | {"boundaries"},
    "starved": frozenset({"weight", "starved_share", "chance"}),
    "classes": frozenset({"weight", "shift", "acceptable"}),
    "agreement": frozenset({"weight", "max_disagreement", "score_tolerance"}),
    CUSTOM: _COMPARING | {"promql", "limit"},
}
_BESIDE_A_LIMIT = frozenset({"weight", "promql", "limit"})


class GateSpec(Document):
    """One named check. A guard that fails rolls back, a signal that fails holds, and what is off is not asked.

    The other fields are the evidence gates' own; docs/gates.md says what each means.
    """

    name: AnyGate
    """Which check: one of ours, or a custom one with `promql`."""
    role: Literal["guard", "signal", "off"] = "guard"
    """What its failing means: a guard rolls back, a signal holds; what is off is not asked."""
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Its part of alpha, relative to the other evidence gates'."""
    promql: Annotated[PromqlSpec | None, Field(validate_default=True)] = None
    """What a custom gate counts, as selectors of Prometheus counters."""
    limit: Annotated[float | None, Field(gt=0, lt=1)] = None
    """A custom gate's fixed limit for the candidate's share of bad; without it, it is compared with stable."""
    margin: Annotated[float, Field(ge=0, le=0.5)] = 0.002
    """How far above stable's rate the candidate's may be without being called worse."""
    margin_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """The same as a share of stable's rate; the larger of both counts."""
    acceptable: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    """Beyond the margin: how much worse a candidate must be shown not to be (preset strict)."""
    boundaries: Annotated[tuple[Duration, ...], Field(max_length=8)] = (0.008, 0.032, 0.128, 0.512, 2.048)
    """Latencies at which versions are compared; each must be one at which the gateway counts."""
    starved_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """A stretch of 30 s in which more than this share of its requests never reached the candidate is a starved one."""
    chance: Annotated[float, Field(gt=0, lt=0.5)] = 0.02
    """How often a healthy candidate may have such a stretch."""
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """By how much of all answers a class may be more or less frequent than stable's."""
    max_disagreement: Annotated[float, Field(gt=0, lt=0.5)] = 0.02
    """The share of copies that may be answered otherwise."""
    score_tolerance: Annotated[float, Field(ge=0, le=1e9)] = 0.1
    """How far a copy's score may be off and still agree, in its units."""

    @field_validator("role")
    @classmethod
    def _can_be_off(cls, role: str, info: ValidationInfo) -> str:
        name = info.data.get("name")
        if role == "off" and name is not None and not is_evidence(name):
            raise ValueError(f"gate {name!r} cannot be off: no weight rises without it; make it a signal")
        return role

    @field_validator("promql")
    @classmethod
    def _has_queries(cls, promql: PromqlSpec | None, info: ValidationInfo) -> PromqlSpec | None:
        if promql is None and is_custom(info.data.get("name") or ""):
            raise ValueError("a custom gate needs what it counts: promql: {bad: ..., total: ...}")
        return promql

    @field_validator(
        "weight",
        "promql",
        "limit",
        "margin",
        "margin_share",
        "acceptable",
        "boundaries",
        "starved_share",
        "chance",
        "shift",
        "max_disagreement",
        "score_tolerance",
    )
    @classmethod
    def _belongs_to_the_gate(cls, value: object, info: ValidationInfo) -> object:
        name, field = info.data.get("name"), str(info.field_name)
        own = _SETTINGS.get(CUSTOM if is_custom(str(name)) else str(name), frozenset())
        if is_custom(str(name)) and info.data.get("limit") is not None:
            own = _BESIDE_A_LIMIT
        if name is not None and field not in own and value != cls.model_fields[field].default:
            told = f"it has {', '.join(sorted(map(_spelled, own)))}" if own else "it has none"
            raise ValueError(f"not a setting of gate {name!r}: {told}")
        return value

    @field_validator("boundaries")
    @classmethod
    def _is_counted(cls, boundaries: tuple[float, ...]) -> tuple[float, ...]:
        if not boundaries:
            raise ValueError("name at least one boundary")
        if list(boundaries) != sorted(set(boundaries)):
            raise ValueError("boundaries must rise")
        try:
            return tuple(check_boundary(round(1000 * bound, 6)) / 1000 for bound in boundaries)
        except Invalid as error:
            raise ValueError(error.message) from None


class OnInconclusive(Document):
    """What happens when a step is still undecided `after` so long: hold on, promote (go on) or roll back."""

    after: Duration = 7200.0
    """How long a step may stay undecided."""
    do: Literal["hold", "promote", "rollback"] = "hold"
    """Hold on, go on, or go back."""


class OnMetricsUnavailable(Document):
    """What happens when nothing could be counted for so long: hold on, or roll back. Never is it evidence."""

    hold: Duration = 900.0
    """How long it is waited for, watching in vain."""
    then: Literal["hold", "rollback"] = "hold"
    """Hold on, or go back."""


def _spelled(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(map(str.capitalize, rest))
