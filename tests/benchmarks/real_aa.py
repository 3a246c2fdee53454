"""Measures how often evidence rolls back a release of the same code (A/A), on a whole platform with real processes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fairlead.contracts.revision import Cause, Phase, Revision
from support import proof
from support.faults import folders
from support.load.open_loop import OpenLoop
from support.load.summary import Summary
from support.platform import Platform, doublers, running_platform, users

TITLE = "releases of the same code in a row (A/A), real processes"
VERSIONS = ("1.0.0", "1.1.0")
MODEL = "doubler"
FAILS, SLOW_MS = 0.005, 3.0
"""How both versions behave: one request in 200 fails, and latency is log-normal. Versions
without errors and with constant latency could not cause a false alarm."""
STRATEGY = {
    "steps": [{"weight": weight, "minDuration": "5s"} for weight in (1000, 2500, 5000)],
    "gates": [{"name": "latency", "boundaries": ["4ms", "8ms", "16ms", "32ms"]}],
}
RELEASE_TIMEOUT_S = 180
MAX_ROLLED_BACK = 1
"""alpha is 1 % per release, so two rollbacks in twenty-four releases would point to a defect."""


@dataclass(frozen=True)
class Plan:
    """The number of releases, and the load in requests per second."""

    releases: int
    rate: float


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(24, 60), "reduced": Plan(2, 100)}


@dataclass(frozen=True)
class Release:
    """The result of one release."""

    version: str
    promoted: bool
    reason: str
    seconds: float
    candidate_requests: int
    gaps: int


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Release two versions in turn. A version that was rolled back is retried as the next release."""
    plan, releases = PLANS[size], list[Release]()
    models = doublers(folder, *VERSIONS, model=MODEL, strategy=STRATEGY)
    sources = {version: folder / "models" / MODEL / version for version in VERSIONS}
    with running_platform(folder, models) as platform:
        folders.behave(sources[VERSIONS[0]], fail=FAILS, slow_ms=SLOW_MS)
        with OpenLoop(
            platform.url, rate=plan.rate, seconds=plan.releases * RELEASE_TIMEOUT_S, request=users(MODEL)
        ) as load:
            for _ in range(plan.releases):
                stable = platform.head(MODEL).table.stable.version
                candidate = next(version for version in VERSIONS if version != stable)
                releases.append(release(platform, sources[candidate], candidate))
            load.stop()
            summary = load.result()
    return judge(releases, summary)


def release(platform: Platform, source: Path, version: str) -> Release:
    """Release a version and wait until it is stable or rolled back."""
    folders.behave(source, slow_ms=SLOW_MS)  # without errors first: its golden rows must pass
    before = platform.head(MODEL)
    again = any(one.ref.version == version for one in before.state.rejected)
    platform.command(*(("retry", MODEL) if again else ("release", MODEL, version, "--skip-check")))
    platform.wait_for(MODEL, "the candidate has its first share", candidate=version, weight=1000)
    folders.behave(source, fail=FAILS, slow_ms=SLOW_MS)
    platform.process.wait_until(
        lambda: platform.head(MODEL).state.phase is Phase.STABLE, "the release has ended", within=RELEASE_TIMEOUT_S
    )
    last = platform.head(MODEL)
    taken = [platform.store.revision(MODEL, seq) for seq in range(before.seq + 1, last.seq + 1)]
    return summarize(version, taken, last)


def summarize(version: str, taken: list[Revision], last: Revision) -> Release:
    """The result of a release from its revisions."""
    windows = [window for revision in taken for window in revision.windows]
    return Release(
        version,
        last.cause is Cause.PROMOTED,
        last.reason,
        round((last.created_at - taken[0].created_at).total_seconds(), 1),
        sum(window.candidate.n for window in windows),
        sum(window.gap is not None for window in windows),
    )


def judge(releases: list[Release], summary: Summary) -> proof.Findings:
    """The claims: almost no release is rolled back, and users see only the errors that both versions have."""
    found = proof.Findings()
    back = [one for one in releases if not one.promoted]
    shown = "; ".join([str(len(back)), *(one.reason for one in back)])
    found.claim(
        f"rolled back, of {len(releases)} releases of the same code",
        f"at most {MAX_ROLLED_BACK}",
        shown,
        len(back) <= MAX_ROLLED_BACK,
    )
    low, high = proof.binomial_interval(summary.sent, FAILS, 0.999)
    found.claim(
        f"bad answers to users, of {summary.sent:,}",
        f"at most {high}: {FAILS:.1%}, which both versions fail",
        summary.failed,
        summary.failed <= high,
    )
    found.note("seconds for a release, median", f"{statistics.median(one.seconds for one in releases):.1f}")
    found.note("requests that candidates answered", f"{sum(one.candidate_requests for one in releases):,}")
    found.note("windows that were gaps", sum(one.gaps for one in releases))
    found.numbers |= {"releases": [asdict(one) for one in releases], "load": summary.to_json(), "expected": [low, high]}
    return found


if __name__ == "__main__":
    proof.run("real_aa", TITLE, prove)
