"""Measures every kind of table change under constant load: failed requests, and the time until a change is served."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np

from fairlead.contracts.revision import Revision
from fairlead.contracts.route import MirrorSpec, RouteSpec, VersionSpec
from support import proof
from support.load.open_loop import OpenLoop
from support.load.summary import Summary, moment
from support.platform import Platform, doublers, running_platform, users

TITLE = "table changes under load: weights, versions added and removed, pins, mirrors"
MODEL, FIRST, SECOND, THIRD = "doubler", "1.0.0", "1.1.0", "1.2.0"
# Every step needs an approval, so that each weight is a separate change and stays as long as the proof wants.
STEPS = (500, 1000, 2500, 5000)
STRATEGY = {"steps": [{"weight": weight, "minDuration": "0s", "approval": True} for weight in STEPS], "minRequests": 0}


@dataclass(frozen=True)
class Plan:
    """The minimum number of changes and requests, the rate, and the seconds that each change stays."""

    changes: int
    requests: int
    rate: float
    stay_s: float


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(50, 100_000, 250, 6.0), "reduced": Plan(7, 500, 100, 0.1)}


class Operator:
    """Makes changes one after the other, as operators and pipelines would."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._third = platform.store.route(MODEL).spec.versions[THIRD]

    def changes(self) -> Iterator[Callable[[], object]]:
        """Endless changes. Each round promotes the other version, and removes and adds the third version."""
        for target in cycle((SECOND, FIRST)):
            yield self._remove_third
            yield lambda: self._edit(versions=self._versions(THIRD, self._third))  # adds a pin when it is ready
            yield lambda: self._edit(mirrors=(MirrorSpec(version=THIRD),))
            yield lambda: self._edit(mirrors=(MirrorSpec(version=THIRD, share=5000),))
            yield lambda: self._edit(mirrors=())
            yield partial(self._release, target)  # prepares the version, then takes the first step without approval
            for _ in STEPS[1:]:
                yield lambda: self._platform.command("approve", MODEL)
            yield lambda: self._platform.command("rollback", MODEL)
            yield lambda: self._platform.command("retry", MODEL)
            for _ in STEPS:
                yield lambda: self._platform.command("approve", MODEL)  # the last one promotes

    def _remove_third(self) -> None:
        spec = self._platform.store.route(MODEL).spec
        self._edit(versions={version: one for version, one in spec.versions.items() if version != THIRD})

    def _versions(self, version: str, spec: VersionSpec) -> dict[str, VersionSpec]:
        return {**self._platform.store.route(MODEL).spec.versions, version: spec}

    def _release(self, version: str) -> None:
        self._platform.command("release", MODEL, version, "--skip-check")

    def _edit(self, **changes: object) -> None:
        route = self._platform.store.route(MODEL)
        spec = RouteSpec.model_validate({**dict(route.spec), **changes})
        self._platform.store.put_route(
            MODEL, spec, now=datetime.now(UTC), actor="operator", annotations=route.annotations
        )


def changed_tables(revisions: list[Revision]) -> list[Revision]:
    """The revisions whose table differs from that of the revision before."""
    return [after for before, after in pairwise(revisions) if after.table != before.table]


def measure(platform: Platform, plan: Plan) -> tuple[list[Revision], Summary]:
    """Make changes until there are enough, under one load that lasts until there are enough requests."""
    first = platform.head(MODEL).seq

    def changed() -> list[Revision]:
        return changed_tables([one for one in platform.store.revisions(MODEL) if one.seq >= first])

    operator = Operator(platform).changes()
    seconds = max(plan.requests / plan.rate, plan.changes * (plan.stay_s + 4)) + 60
    with OpenLoop(platform.url, rate=plan.rate, seconds=seconds, request=users(MODEL)) as load:
        load.wait_sent(20)
        while len(changed()) < plan.changes:
            _apply(platform, next(operator))
            time.sleep(plan.stay_s)
        load.wait_sent(plan.requests)
    return changed(), load.result()


def _apply(platform: Platform, change: Callable[[], object]) -> None:
    """Make a change, and wait until a newer revision is served and the engine has nothing more to do."""
    before = platform.head(MODEL).seq
    change()
    platform.process.wait_until(lambda: platform.head(MODEL).seq > before, "a revision follows")
    platform.process.wait_until(lambda: platform.is_steady(MODEL), "the change serves")


def judge(changed: list[Revision], summary: Summary, plan: Plan) -> proof.Findings:
    """The claims. Propagation is the time from writing a revision to the end of the first response that names it."""
    found = proof.Findings()
    kinds = _kinds(changed)
    found.claim("table changes", f"at least {plan.changes}", len(changed), len(changed) >= plan.changes)
    found.claim("requests", f"at least {plan.requests}", summary.sent, summary.sent >= plan.requests)
    found.claim("failed", "0", summary.failures or 0, not summary.failed)
    firsts = {one.id: summary.of_revision(one.id).first_reply() for one in changed}
    took = {one.id: (first - moment(one.created_at)) / 1e6 for one in changed if (first := firsts[one.id]) is not None}
    unseen = len(changed) - len(took)
    found.note("revisions replaced before anybody met them", unseen)
    for name, quantile in (("p50", 0.5), ("p99", 0.99), ("slowest", 1.0)):
        found.note(f"written -> first answer with it, {name}, ms", f"{np.quantile(list(took.values()), quantile):.0f}")
    found.note("of which the wait for the next request, on average, ms", f"{500 / plan.rate:.0f}")
    found.note("kinds", ", ".join(f"{kind} {count}" for kind, count in kinds.items()))
    found.numbers |= {
        "propagation_ms": {name: round(value, 1) for name, value in took.items()},
        "median_ms": round(statistics.median(took.values()), 1),
        "kinds": kinds,
        "load": summary.to_json(),
    }
    return found


def _kinds(changed: list[Revision]) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for one in changed:
        kinds[one.cause.value] = kinds.get(one.cause.value, 0) + 1
    return kinds


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """A model with three versions; the third one is removed and added again."""
    plan = PLANS[size]
    models = doublers(folder, FIRST, SECOND, THIRD, model=MODEL, strategy=STRATEGY)
    with running_platform(folder, models) as platform:
        platform.process.wait_until(
            lambda: len(platform.head(MODEL).table.pins) == 3 and platform.programmed(MODEL), "all versions are pinned"
        )
        return judge(*measure(platform, plan), plan)


if __name__ == "__main__":
    proof.run("table_changes", TITLE, prove)
