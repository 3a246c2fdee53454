"""Measures the user errors of a candidate that fails, hangs or has no instance, and checks the estimator's counts."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead.contracts.gateway import Role, cluster_name
from fairlead.contracts.table import Table
from fairlead.rollout.analysis.counts import Counted, count
from fairlead.rollout.analysis.envoy_stats import EnvoyStats
from support import proof
from support.faults.backend import Backend, Counts, Faults, answer
from support.gateway import Gateway, running_gateway, table
from support.load.checks import OneOf
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Always, Users, encode
from support.load.summary import Summary
from support.processes import wait_until

TITLE = "a bad candidate at 10 %"
STABLE, CANDIDATE, ABSENT = "1.0.0", "1.1.0", "1.2.0"
PATH = "/models/iris/predict"
PER_TRY_S, REQUEST_S = 0.5, 3.0
MAX_ERRORS = 5
SLACK_MS = 250
"""The extra time allowed for a response that waited for one failed try, on a busy machine."""


@dataclass(frozen=True)
class Plan:
    """The load and its duration. `window_s` is the interval at which the counters are read."""

    rate: float
    seconds: float
    window_s: float
    pinned_rate: float = 10


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(500, 100, 5), "reduced": Plan(300, 2, 0.5)}


@dataclass(frozen=True)
class Case:
    """One kind of bad candidate. `pinned` are the statuses for callers who name the version; None: its own statuses."""

    name: str
    candidate: str = CANDIDATE
    faults: Faults = Faults()
    pinned: frozenset[int] | None = None


CASES = (
    Case("fails 100 %", faults=Faults(fail=1.0)),
    Case("fails 30 %", faults=Faults(fail=0.3)),
    Case("hangs", faults=Faults(mode="hang"), pinned=frozenset({504})),
    Case("has no instance", candidate=ABSENT, pinned=frozenset({503})),
)


@dataclass(frozen=True)
class Run:
    """The measurements of one case: by the clients, the estimator, the access log and the backend."""

    users: Summary
    pinned: Summary
    counted: Counted
    assigned: int
    backend: Counts
    backend_pinned: Counts
    ejected_stable: int


class Trial:
    """Runs the cases one after the other on one gateway. Each is a new attempt, so it does not inherit ejections."""

    def __init__(self, gateway: Gateway, candidate: Backend, log: Path, plan: Plan) -> None:
        self._gateway, self._candidate, self._log, self._plan = gateway, candidate, log, plan
        self._attempt = 0

    def run(self, case: Case) -> Run:
        """Run a load of users, and a small one of callers who name the candidate."""
        self._candidate.behave(case.faults)
        self._candidate.reset_counts()
        self._attempt += 1
        one = bad_table(case.candidate, self._attempt)
        self._gateway.serve(one)
        log_start = self._log.stat().st_size
        with contextlib.closing(EnvoyStats("127.0.0.1", self._gateway.admin_port)) as stats:
            users, pinned, counted = self._load(case, one, stats)
        lines = self._access_log(log_start, users.sent + pinned.sent)
        aggregate = cluster_name(Role.AGGREGATE, "default", "iris", case.candidate)
        counts = self._candidate.all_counts() if case.candidate == CANDIDATE else {}
        return Run(
            users,
            pinned,
            counted,
            assigned=sum(line["cluster"] == aggregate for line in lines),
            backend=counts.get("users", Counts()),
            backend_pinned=counts.get("pinned", Counts()),
            ejected_stable=ejections(self._gateway.admin_port, STABLE),
        )

    def _load(self, case: Case, one: Table, stats: EnvoyStats) -> tuple[Summary, Summary, Counted]:
        """Run both loads. The counters are read window by window, as the engine does, and the windows are added up."""
        plan, total = self._plan, Counted()
        check = OneOf.these(answer("iris", STABLE), answer("iris", CANDIDATE))
        users = OpenLoop(
            self._gateway.url,
            rate=plan.rate,
            seconds=plan.seconds,
            request=Users(PATH, body=b"{}", headers={"x-load": "users"}),
            check=check,
        )
        named = {"x-load": "pinned", "x-model-version": case.candidate}
        pinned = OpenLoop(
            self._gateway.url,
            rate=plan.pinned_rate,
            seconds=plan.seconds,
            request=Always(encode("POST", PATH, headers=named, body=b"{}")),
        )
        before = stats.read()
        with users, pinned:
            end = time.monotonic() + plan.seconds
            while (left := end - time.monotonic()) > plan.window_s:
                time.sleep(min(plan.window_s, left))
                after = stats.read()
                total = total.plus(count(before, after, one))
                before = after
            results = users.result(), pinned.result()
        return *results, total.plus(count(before, stats.read(), one))

    def _access_log(self, start: int, expected: int) -> list[dict[str, str]]:
        def lines() -> list[str]:
            with self._log.open() as file:
                file.seek(start)
                # Without the lines of attempts that failed.
                return [line for line in file if line.endswith("\n") and '"attempt":' not in line]

        wait_until(lambda: len(lines()) >= expected, f"{expected} lines in the access log")
        return [json.loads(line) for line in lines()]


def bad_table(candidate: str, attempt: int) -> Table:
    """A table that gives the candidate a tenth of the users, with a fallback to stable."""
    limits = {"per_try_timeout_s": PER_TRY_S, "request_timeout_s": REQUEST_S}
    return table("iris", STABLE, candidate, 1000, attempt=attempt, **limits)


def ejections(admin_port: int, version: str) -> int:
    """The number of ejections of hosts of a version so far, in the clusters that users share."""
    connection = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", "/stats?filter=ejections_enforced_total")
        text = connection.getresponse().read().decode()
    mine = f"~{version.replace('.', '_')}.outlier_detection.ejections_enforced_total"
    return sum(int(line.rpartition(":")[2]) for line in text.splitlines() if line.rpartition(":")[0].endswith(mine))


def judge(case: Case, run: Run, found: proof.Findings) -> None:
    """The claims of one case."""

    def claim(what: str, target: object, measured: object, holds: bool) -> None:
        found.claim(f"{case.name}: {what}", str(target), measured, holds)

    users, counted = run.users, run.counted
    claim(f"errors of {users.sent} users", f"at most {MAX_ERRORS}", users.failed, users.failed <= MAX_ERRORS)
    slowest, most = users.latency_ms(1.0), 1000 * PER_TRY_S + SLACK_MS
    claim("slowest answer, ms", f"at most {most:.0f}", f"{slowest:.0f}", slowest <= most)
    attempts = sum(run.backend.answered.values()) + run.backend.abandoned
    bad = attempts - run.backend.good
    # A try that hangs is not bad by itself: it is late, which the engine compares with stable's.
    seen = (counted.candidate.bad + counted.failures.candidate.late, counted.candidate.n)
    claim("attempts (bad, all), by the estimator", (bad, attempts), seen, seen == (bad, attempts))
    unserved = run.assigned - run.backend.good
    off = abs(counted.unserved - unserved) / max(1, run.assigned)
    claim("not served by the candidate, by the estimator", f"{unserved} +- 1 %", counted.unserved, off <= 0.01)
    honest = case.pinned or frozenset(run.backend_pinned.answered)
    pinned_is_honest = run.pinned.statuses.keys() <= honest and run.pinned.failed > 0
    if case.pinned is None:
        pinned_is_honest = pinned_is_honest and run.pinned.statuses == dict(run.backend_pinned.answered)
    claim("pinned calls see what the version does", "honest", run.pinned.statuses, pinned_is_honest)
    claim("hosts of stable ejected", 0, run.ejected_stable, run.ejected_stable == 0)
    found.numbers[case.name] = {
        "users": users.to_json(),
        "assigned": {"access_log": run.assigned, "estimator": counted.assigned},
        "unserved": {"access_log_and_backend": unserved, "estimator": counted.unserved},
        "attempts": {"backend": {"all": attempts, "bad": bad}, "estimator": {"all": seen[1], "bad": seen[0]}},
        "stable": {"n": counted.stable.n, "bad": counted.stable.bad},
        "pinned": {"statuses": run.pinned.statuses, "failures": run.pinned.failures},
    }


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """One instance of stable and one of the candidate. This is the worst case: no other instance can take over."""
    found = proof.Findings()
    log = folder / "access.log"
    log.touch()
    with (
        Backend("iris", STABLE, log=folder / "stable.log") as stable,
        Backend("iris", CANDIDATE, log=folder / "candidate.log") as candidate,
        running_gateway(folder / "gateway", [stable, candidate], bad_table(CANDIDATE, 0), access_log=log) as gateway,
    ):
        trial = Trial(gateway, candidate, log, PLANS[size])
        for case in CASES:
            judge(case, trial.run(case), found)
    return found


if __name__ == "__main__":
    proof.run("bad_candidate", f"{TITLE} fails 100 %, fails 30 %, hangs, has no instance", prove)
