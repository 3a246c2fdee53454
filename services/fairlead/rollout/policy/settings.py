"""The settings of a spec that decide how a rollout goes, as text for the ledger, and what differs between two of them.

The text also has the versions, so that a revision can say which ones came and went. They are no settings: adding a
version changes nothing for a rollout.

A revision stores the settings that it was decided on, so the ledger tells which steps, gates and timeouts were in
force, and a change of them is a revision of its own. Settings with their default value are left out.

An attempt keeps the strategy with which it was released: that of its revisions. So nobody who may only change the spec
can take away an approval or a gate that its candidate still has to pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from fairlead.contracts.base import canonical
from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.route import Route, RouteSpec, Strategy
from fairlead.rollout.policy.steps import percent

_FIELDS = {"strategy", "timeouts", "sticky", "idempotent", "mirrors", "scale_to_zero"}
_VERSIONS = "versions"
MAX_TEXT = 500
"""The longest description of a change, in characters."""


def settings_of(spec: RouteSpec) -> str:
    """The settings as canonical JSON. Two specs with the same meaning give the same text."""
    found = spec.model_dump(mode="json", by_alias=True, include=_FIELDS, exclude_defaults=True)
    if gates := found.get("strategy", {}).get("gates"):
        gates.sort(key=lambda gate: gate["name"])  # their order means nothing
    found[_VERSIONS] = {
        name: [version.ref(name).identity, version.instances, *([0] if version.min_instances == 0 else [])]
        for name, version in spec.versions.items()
    }
    return canonical(found)


def strategy_in_force(route: Route, head: Revision | None) -> Strategy:
    """The strategy of the attempt in progress; without one, that of the spec.

    So it is too where the head has none that this release can read: older releases wrote none, newer ones know more
    settings. A rollout that could not be decided would not even be rolled back.
    """
    if head is None or head.state.phase is Phase.STABLE:
        return route.spec.strategy
    return _strategy(head.settings) or route.spec.strategy


def in_force(route: Route, head: Revision | None) -> Route:
    """The route with the strategy in force."""
    strategy = strategy_in_force(route, head)
    if strategy is route.spec.strategy:
        return route
    return route.model_copy(update={"spec": route.spec.model_copy(update={"strategy": strategy})})


def strategy_waits(route: Route, head: Revision) -> bool:
    """True while the spec's strategy waits for the next release, because the attempt in progress has another one."""
    mine = strategy_in_force(route, head)
    return mine != route.spec.strategy and settings_of(in_force(route, head).spec) != settings_of(route.spec)


def settings_in_force(route: Route, head: Revision) -> str:
    """The settings on which the head's successor is decided."""
    if not head.settings:
        return settings_of(route.spec)
    # A generation has one spec, unless the route was deleted and created again since.
    is_the_same_spec = head.generation == route.generation and route.created_at <= head.created_at
    is_in_force = head.state.phase is not Phase.STABLE or _strategy(head.settings) == route.spec.strategy
    return head.settings if is_the_same_spec and is_in_force else settings_of(in_force(route, head).spec)


@lru_cache(maxsize=1024)
def _strategy(settings: str) -> Strategy | None:
    """None if there is none, or none that can be read."""
    try:
        return Strategy.model_validate(json.loads(settings).get("strategy", {}))
    except ValueError:
        return None


def describe_change(before: str, after: str) -> str:
    """What differs besides the versions, as text: "strategy.minRequests: 20 -> 0; strategy.steps: 5 %, 50 % -> 10 %".

    Empty if nothing does.
    """
    if before == after:
        return ""
    one, other = (
        dict(_flat("", {name: each for name, each in json.loads(text).items() if name != _VERSIONS}))
        for text in (before, after)
    )
    changed = sorted(path for path in one.keys() | other.keys() if one.get(path, _NONE) != other.get(path, _NONE))
    return _cut("; ".join(f"{path}: {_shown(path, one)} -> {_shown(path, other)}" for path in changed))


def describe_versions(before: str, after: str) -> str | None:
    """Which versions came, went or changed: "version 1.1.0 was added". Empty if none did.

    None if it is not known: revisions of earlier releases do not have them.
    """
    one, other = (json.loads(text or "{}").get(_VERSIONS) for text in (before, after))
    if one is None or other is None:
        return None
    both = sorted(one.keys() & other.keys())
    said = [
        _were([name for name in other if name not in one], "added"),
        _were([name for name in one if name not in other], "removed"),
        _were([name for name in both if one[name][0] != other[name][0]], "replaced: another image or folder"),
        *(
            f"{name} has {_instances(other[name][1])}, had {one[name][1]}"
            for name in both
            if one[name][1] != other[name][1]
        ),
        *(
            f"{name} {'may be cold' if other[name][2:] else 'is never cold'}"
            for name in both
            if one[name][2:] != other[name][2:]
        ),
    ]
    return _cut("; ".join(filter(None, said)))


def _were(names: list[str], what: str) -> str:
    if not names:
        return ""
    return f"version {names[0]} was {what}" if len(names) == 1 else f"versions {', '.join(sorted(names))} were {what}"


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


def _cut(text: str) -> str:
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
