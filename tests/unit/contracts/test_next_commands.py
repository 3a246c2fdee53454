"""Every command that is named as the next one changes something in the state in which it is named."""

from __future__ import annotations

from itertools import product

import pytest

from fairlead.contracts.next_commands import next_release, releasing
from fairlead.contracts.revision import Cause, Revision
from fairlead.contracts.route import Route, Target, VersionRef
from fairlead.rollout.policy.decide import decide
from unit.rollout.policy.builders import (
    RETRY,
    V1,
    V2,
    V3,
    a_head,
    a_route,
    an_action,
    canary,
    preparing,
    rejected,
    seen,
)

VERSIONS = {ref.version: ref for ref in (V1, V2, V3)}
HEADS = {
    "at rest": a_head(target=V1),
    "at rest, one rejected": a_head(target=V2, rejected=rejected(V2)),
    "preparing": preparing(),
    "canary": canary(),
    "canary, another one rejected": canary(rejected=rejected(V3)),
    "paused": canary(paused=True),
    "promoted": a_head(stable=V2, previous=V1, previous_revision=6),
    "declined": canary(rejected=rejected(V3), declined=V3),
}


def begins(route: Route, head: Revision, command: str) -> VersionRef | None:
    """The version whose attempt begins when the command is given."""
    verb, _, *given = command.removeprefix("fairlead ").split()
    if verb == "release":
        route = route.model_copy(
            update={
                "generation": route.generation + 1,
                "spec": route.spec.model_copy(update={"target": Target(version=given[0])}),
            }
        )
    actions = [an_action(RETRY)] if verb == "retry" or "--retry" in given else []
    for _ in range(4):
        found = decide(route, head, seen(1), actions).next
        if found is None:
            return None
        if found.cause is Cause.RELEASED:
            return found.state.target
        head = found
    return None


@pytest.mark.parametrize(
    ("head", "target", "version"), [*product(HEADS, VERSIONS, VERSIONS)], ids=lambda value: str(value)
)
def test_a_command_that_is_named_begins_a_release_of_that_version(head: str, target: str, version: str) -> None:
    route = a_route(target)
    command = releasing(route, HEADS[head], version)
    if command:
        assert begins(route, HEADS[head], command) == VERSIONS[version]


def test_nothing_is_named_for_what_serves_or_is_being_released() -> None:
    assert releasing(a_route("1.1.0"), canary(), "1.0.0") == ""
    assert releasing(a_route("1.1.0"), canary(), "1.1.0") == ""
    assert releasing(a_route("1.1.0"), None, "1.1.0") == ""


@pytest.mark.parametrize(
    ("target", "command"), [("1.1.0", "fairlead retry iris"), ("1.0.0", "fairlead release iris 1.1.0 --retry")]
)
def test_a_rejected_version_is_tried_again(target: str, command: str) -> None:
    assert releasing(a_route(target), a_head(target=V1, rejected=rejected(V2)), "1.1.0") == command


def test_no_rejected_version_is_suggested_by_itself() -> None:
    assert next_release(a_route("1.1.0"), a_head(target=V2, rejected=rejected(V2))) == "fairlead release iris 1.2.0"
    two = a_route("1.1.0", versions=("1.0.0", "1.1.0"))
    assert next_release(two, a_head(target=V2, rejected=rejected(V2))) == ""
