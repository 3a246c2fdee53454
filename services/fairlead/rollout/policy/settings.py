"""The settings of a spec that decide how a rollout goes, as text for the ledger, and what differs between two of them.

A revision stores the settings that it was decided on, so the ledger tells which steps, gates and timeouts were in
force, and a change of them is a revision of its own. Settings with their default value are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fairlead.contracts.base import canonical
from fairlead.contracts.route import RouteSpec, Strategy
from fairlead.rollout.policy.steps import percent

_FIELDS = {"strategy", "timeouts", "sticky", "idempotent", "mirrors"}
MAX_TEXT = 500
"""The longest description of a change, in characters."""


def settings_of(spec: RouteSpec) -> str:
    """The settings as canonical JSON. Two specs with the same meaning give the same text."""
    found = spec.model_dump(mode="json", by_alias=True, include=_FIELDS, exclude_defaults=True)
    if gates := found.get("strategy", {}).get("gates"):
        gates.sort(key=lambda gate: gate["name"])  # their order means nothing
    return canonical(found)


def step_weights(settings: str) -> tuple[int, ...]:
    """The weights of the steps in these settings, in 1/10,000."""
    listed = json.loads(settings).get("strategy", {}).get("steps")
    return tuple(one.weight for one in Strategy().steps) if listed is None else tuple(one["weight"] for one in listed)


def describe_change(before: str, after: str) -> str:
    """What differs, as text: "strategy.minRequests: 20 -> 0; strategy.steps: 5 %, 50 % -> 10 %"."""
    one, other = (dict(_flat("", json.loads(text))) for text in (before, after))
    changed = sorted(path for path in one.keys() | other.keys() if one.get(path, _NONE) != other.get(path, _NONE))
    text = "; ".join(f"{path}: {_shown(path, one)} -> {_shown(path, other)}" for path in changed)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."


_NONE = object()


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each setting with its path, gates by name."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}" if path else name, inner)
    elif path == "strategy.gates" and value:
        for gate in value:
            yield f"{path}.{gate['name']}", {name: one for name, one in gate.items() if name != "name"}
    else:
        yield path, value


def _shown(path: str, settings: Mapping[str, Any]) -> str:
    if path not in settings:
        return "default"
    value = settings[path]
    if path == "strategy.steps":
        return ", ".join(map(_shown_step, value)) or "no steps"
    if value == {}:
        return "named, without settings"
    return value if isinstance(value, str) else json.dumps(value)


def _shown_step(step: Mapping[str, Any]) -> str:
    lasts = f" for {step['minDuration']}" if "minDuration" in step else ""
    return f"{percent(step['weight'])}{lasts}{' with approval' if step.get('approval') else ''}"
