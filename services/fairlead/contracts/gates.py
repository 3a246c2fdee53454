"""Gates in a spec: their names, the settings each one has, and the validation of both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from fairlead.contracts.base import Document, Duration
from fairlead.contracts.latency import check_boundary
from fairlead.contracts.promql import PromqlSpec
from fairlead.contracts.service_totals import ERROR_BOUNDS, nearest_bound
from fairlead.errors import Invalid

GateName = Literal[
    "ready",
    "smoke",
    "acknowledged",
    "capacity",
    "timeouts",
    "errors",
    "starved",
    "rejections",
    "latency",
    "classes",
    "agreement",
    "quality",
    "cost",
    "predictionDrift",
    "share",
]
"""Every built-in gate. An unknown name in a spec is an error that names the field's path."""

USUAL_RATIO = 1.3
"""Two processes of one version differ by up to a fifth on a busy machine."""

CUSTOM = "custom-"
"""The prefix of the names of a user's own gates."""
_CUSTOM = rf"{CUSTOM}[a-z0-9]([a-z0-9-]{{0,30}}[a-z0-9])?"

MEASURED: frozenset[str] = frozenset({"quality", "cost", "predictionDrift"})
"""Built-in gates on what the model services count of themselves. They are asked only where a spec names them."""

EVIDENCE: frozenset[str] = MEASURED | {"errors", "starved", "rejections", "latency", "classes", "agreement"}
"""Built-in gates that share the release's alpha."""

ALWAYS: frozenset[str] = frozenset({"ready", "smoke", "acknowledged", "capacity"})
"""Gates that every step needs; they cannot be off."""


def is_custom(name: str) -> bool:
    """Whether this is a user's own gate, counted by Prometheus."""
    return name.startswith(CUSTOM)


def is_evidence(name: str) -> bool:
    """Whether a gate shares the release's alpha."""
    return name in EVIDENCE or is_custom(name)


def _is_a_gate(name: str) -> str:
    if name in get_args(GateName) or re.fullmatch(_CUSTOM, name):
        return name
    ours = ", ".join(get_args(GateName))
    raise ValueError(f"there is no gate {name!r}: use one of {ours}, or {CUSTOM}<lower-case-name> for your own gate")


AnyGate = Annotated[
    str,
    AfterValidator(_is_a_gate),
    WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(get_args(GateName))}|{_CUSTOM})$", "maxLength": 40}),
]

_COMPARING = frozenset({"weight", "margin", "margin_share", "acceptable"})
SETTINGS: Mapping[str, frozenset[str]] = {
    "errors": _COMPARING,
    "rejections": _COMPARING,
    "latency": _COMPARING | {"boundaries", "slowdown"},
    "starved": frozenset({"weight", "starved_share", "chance"}),
    "classes": frozenset({"weight", "shift", "acceptable"}),
    "agreement": frozenset({"weight", "max_disagreement", "score_tolerance"}),
    "quality": _COMPARING | {"max_error"},
    "cost": frozenset({"weight", "ratio"}),
    "predictionDrift": frozenset({"weight", "shift", "acceptable"}),
    CUSTOM: _COMPARING | {"promql", "limit"},
}
"""The settings of each gate beside its name and role; a gate that is not here has none."""
BESIDE_A_LIMIT = frozenset({"weight", "promql", "limit"})
"""The settings of a custom gate that has a limit: it is not compared with stable."""


class GateSpec(Document):
    """One named check. A failing guard rolls back, a failing signal holds, off disables the gate.

    The other fields are settings of the evidence gates; docs/gates.md explains each.
    """

    name: AnyGate
    """A built-in gate, or a custom one with `promql`."""
    role: Literal["guard", "signal", "off"] = "guard"
    """If the gate fails: guard rolls back, signal holds. off disables the gate."""
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Its share of alpha, relative to the other evidence gates."""
    promql: Annotated[PromqlSpec | None, Field(validate_default=True)] = None
    """What a custom gate counts, as selectors of Prometheus counters."""
    limit: Annotated[float | None, Field(gt=0, lt=1)] = None
    """A custom gate's limit for the candidate's bad share. Without it, the candidate is compared with stable."""
    margin: Annotated[float, Field(ge=0, le=0.5)] = 0.002
    """How far the candidate's rate may exceed stable's without counting as worse."""
    margin_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """The margin as a share of stable's rate; the larger one applies."""
    acceptable: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    """Preset strict: the excess over the margin that must be ruled out."""
    boundaries: Annotated[tuple[Duration, ...], Field(max_length=8)] = (0.008, 0.032, 0.128, 0.512, 2.048)
    """Latencies at which versions are compared; each must be a bucket bound of the gateway."""
    slowdown: Annotated[Literal[1, 2, 4, 8] | None, Field(validate_default=True)] = None
    """How many times as slow as stable is no harm; null: 1."""
    starved_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """A 30 s block is starved if more than this share of the candidate's requests did not reach it."""
    chance: Annotated[float, Field(gt=0, lt=0.5)] = 0.02
    """How often a healthy candidate may have a starved block."""
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """How much a class's share of all answers may differ from stable's."""
    max_disagreement: Annotated[float, Field(gt=0, lt=0.5)] = 0.02
    """The share of mirrored requests whose answers may differ."""
    score_tolerance: Annotated[float, Field(ge=0, le=1e9)] = 0.1
    """How far two scores may differ and still agree, in score units."""
    ratio: Annotated[float | None, Field(ge=1, le=10)] = None
    """How many times stable's CPU seconds a row of the candidate may take; null: 1.3."""
    max_error: Annotated[float | None, Field(gt=0, le=5e9)] = None
    """Where answers are numbers: an absolute error above this is a wrong answer."""

    @field_validator("role")
    @classmethod
    def _can_be_off(cls, role: str, info: ValidationInfo) -> str:
        name = info.data.get("name")
        if role == "off" and name in ALWAYS:
            raise ValueError(f"gate {name!r} cannot be off: every step needs it; use role signal instead")
        return role

    @field_validator("promql")
    @classmethod
    def _has_queries(cls, promql: PromqlSpec | None, info: ValidationInfo) -> PromqlSpec | None:
        if promql is None and is_custom(info.data.get("name") or ""):
            raise ValueError("a custom gate needs selectors of what it counts: promql: {bad: ..., total: ...}")
        return promql

    @field_validator(
        "weight",
        "promql",
        "limit",
        "margin",
        "margin_share",
        "acceptable",
        "boundaries",
        "slowdown",
        "starved_share",
        "chance",
        "shift",
        "max_disagreement",
        "score_tolerance",
        "ratio",
        "max_error",
    )
    @classmethod
    def _belongs_to_the_gate(cls, value: object, info: ValidationInfo) -> object:
        name, field = info.data.get("name"), str(info.field_name)
        own = SETTINGS.get(CUSTOM if is_custom(str(name)) else str(name), frozenset())
        if is_custom(str(name)) and info.data.get("limit") is not None:
            own = BESIDE_A_LIMIT
        if name is not None and field not in own and value != cls.model_fields[field].default:
            known = f"it has {', '.join(sorted(map(camel_case, own)))}" if own else "it has none"
            raise ValueError(f"not a setting of gate {name!r}: {known}")
        return value

    @field_validator("max_error")
    @classmethod
    def _is_a_bound(cls, max_error: float | None) -> float | None:
        if max_error is not None and max_error not in ERROR_BOUNDS:
            nearest = nearest_bound(max_error)
            raise ValueError(f"services do not count errors above {max_error:g}; the nearest bound is {nearest:g}")
        return max_error

    @field_validator("boundaries")
    @classmethod
    def _is_counted(cls, boundaries: tuple[float, ...]) -> tuple[float, ...]:
        if not boundaries:
            raise ValueError("name at least one boundary")
        if list(boundaries) != sorted(set(boundaries)):
            raise ValueError("boundaries must be in ascending order, without duplicates")
        try:
            return tuple(check_boundary(round(1000 * bound, 6)) / 1000 for bound in boundaries)
        except Invalid as error:
            raise ValueError(error.message) from None

    @model_validator(mode="after")
    def _stable_is_counted_there(self) -> Self:
        for bound in self.boundaries if self.slowdown else ():
            try:
                check_boundary(1000 * self.stable_boundary(bound))
            except Invalid as error:
                raise ValueError(
                    f"boundaries: stable is compared at {bound:g} s / {self.slowdown}: {error.message}"
                ) from None
        return self

    @property
    def allowed_ratio(self) -> float:
        """How many times stable's CPU seconds a row of the candidate may take."""
        return self.ratio or USUAL_RATIO

    def stable_boundary(self, boundary: float) -> float:
        """Where stable is counted, in seconds, if the candidate is counted at `boundary`: lower by `slowdown`."""
        return round(boundary / (self.slowdown or 1), 9)


class OnInconclusive(Document):
    """What happens when a step is still undecided `after` this long: hold, go on to the next step, or roll back."""

    after: Duration = 7200.0
    """How long a step may stay undecided."""
    do: Literal["hold", "promote", "rollback"] = "hold"
    """Hold, go on, or roll back."""


class OnMetricsUnavailable(Document):
    """What happens when no counts are available for this long: hold, or roll back. It never counts as evidence."""

    hold: Duration = 900.0
    """How long to wait for metrics."""
    then: Literal["hold", "rollback"] = "hold"
    """Hold, or roll back."""


def camel_case(field: str) -> str:
    """A field's name as documents write it."""
    first, *rest = field.split("_")
    return first + "".join(map(str.capitalize, rest))
