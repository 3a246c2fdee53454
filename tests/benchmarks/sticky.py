"""A raised weight moves only the users it adds, and `explain` names every one of them beforehand."""

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
    """How many users, how fast, and how sure the interval of a share is."""

    users: int
    rate: float
    level: float


PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan(100_000, 1000, 0.999),
    "reduced": Plan(2_000, 1500, 1 - 1e-7),
}


@dataclass(frozen=True)
class Answers:
    """The version of every user at one weight: as Envoy answered, and as `explain` had said."""

    given: list[str | None]
    told: list[str | None]
    failed: int

    @property
    def wrongly_told(self) -> int:
        """Users of whom `explain` said another version."""
        return sum(given != told for given, told in zip(self.given, self.told, strict=True))


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """All users at the one weight, then all of them at the other."""
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
    turned = [pair for pair in zip(before.given, after.given, strict=True) if pair[0] != pair[1]]
    joined, left = turned.count((STABLE, CANDIDATE)), turned.count((CANDIDATE, STABLE))
    expected = (AFTER - BEFORE) / TOTAL_WEIGHT
    low, high = proof.binomial_interval(plan.users, expected, plan.level)
    rise = f"{BEFORE / 100:g} -> {AFTER / 100:g} %"
    found.claim(
        f"of {plan.users:,} users, who get the candidate by {rise}", f"{low} to {high}", joined, low <= joined <= high
    )
    found.claim("who lose it", "0", left, not left)
    for name, one in (("before", before), ("after", after)):
        found.claim(f"of whom explain said another version, {name}", "0", one.wrongly_told, not one.wrongly_told)
    failed = before.failed + after.failed
    found.claim(f"failed of {2 * plan.users:,}", "0", failed, not failed)
    found.numbers = {"users": plan.users, "joined": joined, "left": left, "weights": [BEFORE, AFTER]}
    return found


def answers(gateway: Gateway, weight: int, plan: Plan) -> Answers:
    """Ask `explain`, then ask the gateway, once for every user."""
    routes = table(MODEL, STABLE, CANDIDATE, weight)
    gateway.serve(routes)
    users = Users(PATH, body=BODY)
    routed = Routed(MODEL, 1, routes)
    told = [version_told(routed, users.user(index)) for index in range(plan.users)]
    check = OneOf.these(answer(MODEL, STABLE), answer(MODEL, CANDIDATE))
    with OpenLoop(gateway.url, rate=plan.rate, count=plan.users, request=users, check=check) as load:
        summary = load.result()
    return Answers([summary.version_at(index) for index in range(plan.users)], told, summary.failed)


def version_told(routed: Routed, user: str) -> str | None:
    """What `explain` says this user gets."""
    told = explain(routed, PATH, [("x-user-id", user)])
    return told.version.version if told is not None and told.version is not None else None


if __name__ == "__main__":
    proof.run("sticky", TITLE, prove)
