"""Measures the traffic share of each weight and whether users keep their version, from the responses of every user."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fairlead.contracts.route import TOTAL_WEIGHT
from support import proof
from support.faults.backend import Backend, answer
from support.gateway import Gateway, running_gateway, table
from support.load.checks import OneOf
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Always, Users, encode
from support.load.summary import Summary

TITLE = "weights sampled, sticky users, three paths of one model"
STABLE, CANDIDATE = "1.0.0", "1.1.0"
PATHS = ("/models/iris/predict", "/v1/models/iris:predict", "/v2/models/iris/infer")
RISING = (500, 1000, 2500, 5000)
BODY = b"{}"


@dataclass(frozen=True)
class Plan:
    """The number of requests and users, and the rate. `level` is the confidence of the intervals.

    The tests use a higher level, because they run so often that one false failure in 1,000 would be too many.
    """

    draws: Mapping[int, int]
    users: int
    path_users: int
    rate: float
    level: float


PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan({5: 200_000, 100: 20_000, 1000: 20_000, 5000: 20_000}, 20_000, 5_000, 2000, 0.999),
    "reduced": Plan({100: 3_000, 5000: 1_500}, 1_000, 300, 1500, 1 - 1e-7),
}


class Sampling:
    """One run on a gateway. Counts all its requests and its failed requests."""

    def __init__(self, gateway: Gateway, plan: Plan, found: proof.Findings) -> None:
        self.gateway, self.plan, self.found = gateway, plan, found
        self.sent = self.failed = 0

    def random_draws(self) -> None:
        """Requests without a user id get a random version each: check the share of each weight."""
        for weight, count in self.plan.draws.items():
            self._set_weight("iris", weight)
            summary = self._ask("iris", count, Always(encode("POST", PATHS[0], body=BODY)))
            self._share(f"weight {weight}, drawn at random", count, weight, summary.by_version.get(CANDIDATE, 0))

    def rising_weights(self) -> set[str]:
        """No user loses the candidate while its weight rises. Returns the candidate's users at the last weight."""
        chosen = []
        for weight in RISING:
            chosen.append(self._candidates_users("iris", weight))
            self._share(f"weight {weight}, by user", self.plan.users, weight, len(chosen[-1]))
        lost = sum(len(before - after) for before, after in pairwise(chosen))
        self.found.claim(
            f"users who lose the candidate as its weight rises {RISING[0]} -> {RISING[-1]}", "0", lost, not lost
        )
        return chosen[-1]

    def independent(self, ours: set[str]) -> None:
        """Another model and another attempt choose their users independently."""
        everyone = self.plan.users
        for what, others in (
            ("two models", self._candidates_users("moons", RISING[-1])),
            ("two attempts", self._candidates_users("iris", RISING[-1], attempt=2)),
        ):
            both = len(ours & others)
            low, high = proof.binomial_interval(len(ours), len(others) / everyone, self.plan.level)
            self.found.claim(f"{what} at {RISING[-1]}: users in both", f"{low} to {high}", both, low <= both <= high)

    def three_paths(self) -> None:
        """A user gets the same version on all paths of a model."""
        self._set_weight("iris", RISING[-1])
        users = Users(*PATHS, body=BODY)
        summary = self._ask("iris", self.plan.path_users * len(PATHS), users)
        seen: dict[str, set[str | None]] = {}
        for index in range(summary.sent):
            seen.setdefault(users.user(index), set()).add(summary.version_at(index))
        split = sum(len(versions) != 1 for versions in seen.values())
        self.found.claim(f"users of {len(seen)} whom the three paths give different versions", "0", split, not split)

    def _candidates_users(self, model: str, weight: int, attempt: int = 1) -> set[str]:
        self._set_weight(model, weight, attempt)
        users = Users(f"/models/{model}/predict", body=BODY)
        summary = self._ask(model, self.plan.users, users)
        return {users.user(index) for index in range(summary.sent) if summary.version_at(index) == CANDIDATE}

    def _set_weight(self, model: str, weight: int, attempt: int = 1) -> None:
        self.gateway.serve(table(model, STABLE, CANDIDATE, weight, attempt=attempt))

    def _ask(self, model: str, count: int, request: Always | Users) -> Summary:
        check = OneOf.these(*(answer(model, version) for version in (STABLE, CANDIDATE)))
        with OpenLoop(self.gateway.url, rate=self.plan.rate, count=count, request=request, check=check) as load:
            summary = load.result()
        self.sent += summary.sent
        self.failed += summary.failed
        return summary

    def _share(self, what: str, count: int, weight: int, chosen: int) -> None:
        low, high = proof.binomial_interval(count, weight / TOTAL_WEIGHT, self.plan.level)
        self.found.claim(f"{what}: of {count}", f"{low} to {high}", chosen, low <= chosen <= high)
        self.found.numbers[what] = {"of": count, "candidate": chosen, "low": low, "high": high}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Requests without a user, then users: at rising weights, in another model and attempt, on every path."""
    found = proof.Findings()
    with contextlib.ExitStack() as running:
        backends = [
            running.enter_context(Backend(model, version, log=folder / f"{model}-{version}.log"))
            for model in ("iris", "moons")
            for version in (STABLE, CANDIDATE)
        ]
        tables = [table(model, STABLE, CANDIDATE) for model in ("iris", "moons")]
        gateway = running.enter_context(running_gateway(folder / "gateway", backends, *tables))
        sampling = Sampling(gateway, PLANS[size], found)
        sampling.random_draws()
        sampling.independent(sampling.rising_weights())
        sampling.three_paths()
    found.claim(f"failed of {sampling.sent}", "0", sampling.failed, not sampling.failed)
    return found


if __name__ == "__main__":
    proof.run("sampling", TITLE, prove)
