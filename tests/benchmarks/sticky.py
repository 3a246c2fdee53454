"""Checks for every user that a raised weight moves only the users that it adds, and that `explain` predicts them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.routing.explain import explain
from fairlead.routing.snapshot import Routed
from support import proof
from support.faults.backend import Backend, answer
from support.gateway import Gateway, running_gateway, table
from support.load.checks import OneOf
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Users

TITLE = "a raised weight moves only the users it adds; explain against Envoy, user by user"
MODEL, STABLE, CANDIDATE = "iris", "1.0.0", "1.1.0"
PATH = f"/models/{MODEL}/predict"
BEFORE, AFTER = 1000, 2000
BODY = b"{}"


@dataclass(frozen=True)
class Plan:
    """The number of users, the request rate, and the confidence of the interval of a share."""

    users: int
    rate: float
    level: float


PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan(100_000, 1000, 0.999),
    "reduced": Plan(2_000, 1500, 1 - 1e-7),
}


@dataclass(frozen=True)
class Answers:
    """The version of every user at one weight: from Envoy (`given`) and from `explain` (`explained`)."""

    given: list[str | None]
    explained: list[str | None]
    failed: int

    @property
    def mismatches(self) -> int:
        """The number of users for whom `explain` named another version than Envoy chose."""
        return sum(given != explained for given, explained in zip(self.given, self.explained, strict=True))


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Send requests of all users at the first weight, then at the second one."""
    plan, found = PLANS[size], proof.Findings()
    with contextlib.ExitStack() as running:
        backends = [
            running.enter_context(Backend(MODEL, version, log=folder / f"{version}.log"))
            for version in (STABLE, CANDIDATE)
        ]
        gateway = running.enter_context(
            running_gateway(folder / "gateway", backends, table(MODEL, STABLE, CANDIDATE, BEFORE))
        )
        before, after = (answers(gateway, weight, plan) for weight in (BEFORE, AFTER))
    moved = [pair for pair in zip(before.given, after.given, strict=True) if pair[0] != pair[1]]
    joined, left = moved.count((STABLE, CANDIDATE)), moved.count((CANDIDATE, STABLE))
    expected = (AFTER - BEFORE) / TOTAL_WEIGHT
    low, high = proof.binomial_interval(plan.users, expected, plan.level)
    rise = f"{BEFORE / 100:g} -> {AFTER / 100:g} %"
    found.claim(
        f"of {plan.users:,} users, who get the candidate by {rise}", f"{low} to {high}", joined, low <= joined <= high
    )
    found.claim("who lose it", "0", left, not left)
    for name, one in (("before", before), ("after", after)):
        found.claim(f"of whom explain said another version, {name}", "0", one.mismatches, not one.mismatches)
    failed = before.failed + after.failed
    found.claim(f"failed of {2 * plan.users:,}", "0", failed, not failed)
    found.numbers = {"users": plan.users, "joined": joined, "left": left, "weights": [BEFORE, AFTER]}
    return found


def answers(gateway: Gateway, weight: int, plan: Plan) -> Answers:
    """The version of every user at this weight, from `explain` and then from the gateway."""
    routes = table(MODEL, STABLE, CANDIDATE, weight)
    gateway.serve(routes)
    users = Users(PATH, body=BODY)
    routed = Routed(MODEL, 1, routes)
    explained = [explained_version(routed, users.user(index)) for index in range(plan.users)]
    check = OneOf.these(answer(MODEL, STABLE), answer(MODEL, CANDIDATE))
    with OpenLoop(gateway.url, rate=plan.rate, count=plan.users, request=users, check=check) as load:
        summary = load.result()
    return Answers([summary.version_at(index) for index in range(plan.users)], explained, summary.failed)


def explained_version(routed: Routed, user: str) -> str | None:
    """The version that `explain` names for this user."""
    found = explain(routed, PATH, [("x-user-id", user)])
    return found.version.version if found is not None and found.version is not None else None


if __name__ == "__main__":
    proof.run("sticky", TITLE, prove)
