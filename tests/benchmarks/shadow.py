"""Measures shadows with a real Envoy and real model services: a candidate with other answers is rejected unserved."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.contracts.answers import ShadowStatus
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.serving.observe.answers import RECORD, AnswerRecords
from fairlead.serving.observe.compared_fields import Reader
from fairlead.serving.settings import Settings
from support import proof
from support.faults import classifiers
from support.load.open_loop import OpenLoop
from support.load.prebuilt import InTurn, encode
from support.platform import Platform, running_platform
from support.processes import ProcessFailed
from support.small_models import Sum

TITLE = "shadow: the candidate's answers to copies of real requests, judged before its first weight"
MODEL = "sorter"
STABLE, SWAPPED, SAME = "1.0.0", "1.1.0", "1.2.0"
MAX_PAIRS = 500
"""The maximum number of pairs until a candidate with swapped classes is rolled back."""
SHADOW = {"minDuration": "5s", "minPairs": 200}
VALUES = (-3.0, -1.5, 0.0, 0.5, 1.5, 3.0)
FORGED = {
    "x-request-id": "00000000-0000-4000-8000-000000000001",
    "x-shadow-of": "sorter",
    "x-keep-answer": "record",
}
"""Headers that the client forges: the same request id every time, and headers that only the gateway may set."""


@dataclass(frozen=True)
class Plan:
    """The request rates, the releases per rate, and the number of answers for the answer records."""

    rates: tuple[float, ...]
    runs: int
    """Releases with swapped classes at each rate."""
    an_hour: int

    @property
    def rate(self) -> float:
        """The rate at which the same model is released again."""
        return self.rates[0]


PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan((50, 20, 100, 200, 400), 3, 3_600_000),
    "reduced": Plan((60, 200), 1, 200_000),
}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Measure releases on a platform, then the ring buffer of the answer records in this process."""
    found, plan = proof.Findings(), PLANS[size]
    with running_platform(folder, _models(folder)) as platform:
        rates = [rate for rate in plan.rates for _ in range(plan.runs)]
        swapped = [_release_swapped(platform, rate, first=turn == 0) for turn, rate in enumerate(rates)]
        same = _release_same(platform, plan)
    _judge_swapped(swapped, found)
    _judge_same(same, found)
    _judge_ring(_fill_ring(plan.an_hour), found)
    return found


def _models(folder: Path) -> dict[str, dict[str, Any]]:
    orders = {STABLE: ("low", "middle", "high"), SWAPPED: ("low", "high", "middle"), SAME: ("low", "middle", "high")}
    sources = {version: classifiers.make(folder / "models", MODEL, version, order) for version, order in orders.items()}
    strategy = {
        "shadow": SHADOW,
        "preset": "strict",
        "steps": [{"weight": 1000, "minDuration": "10m"}],
        "warmUp": {"soak": "0s"},
    }
    versions = {version: {"source": str(source)} for version, source in sources.items()}
    return {MODEL: {"target": STABLE, "versions": versions, "strategy": strategy}}


def _requests() -> InTurn:
    """Requests for every kind of answer in turn, all with the forged headers."""
    path = f"/models/{MODEL}/predict"
    return InTurn([encode("POST", path, headers=FORGED, body=json.dumps({"value": one}).encode()) for one in VALUES])


def _release_swapped(platform: Platform, rate: float, *, first: bool) -> dict[str, Any]:
    """Release the version with swapped classes, or retry it, and wait until it is rolled back."""
    with OpenLoop(platform.url, rate=rate, seconds=120, request=_requests()) as load:
        before = platform.head(MODEL).seq
        platform.command(*(("release", MODEL, SWAPPED, "--skip-check") if first else ("retry", MODEL)))
        back = _wait(platform, lambda head: head.cause is Cause.ROLLED_BACK and head.seq > before, "it is rolled back")
        load.stop()
        summary = load.result()
    status = _shadow_status(platform)
    revisions = [one for one in platform.store.revisions(MODEL) if one.seq > before]
    shadowed = next(one for one in revisions if one.state.phase is Phase.SHADOWING)
    pairs = [window.pairs for one in revisions for window in one.windows]
    return {
        "rate": rate,
        "seconds": round((back.created_at - shadowed.created_at).total_seconds(), 2),
        "pairs": sum(one.n for one in pairs),
        "differ": sum(one.differ for one in pairs),
        "classChanged": sum(one.class_changed for one in pairs),
        "mostWeight": max(one.table.weight for one in revisions),
        "reason": back.reason,
        "failed": summary.failed,
        "worst": [one.to_json() for one in status.worst[:3]],
    }


def _release_same(platform: Platform, plan: Plan) -> dict[str, Any]:
    """Release a version with the same model, and wait until it has its first weight."""
    with OpenLoop(platform.url, rate=plan.rate, seconds=180, request=_requests()) as load:
        before = platform.head(MODEL).seq
        platform.command("release", MODEL, SAME, "--skip-check")
        head = _wait(platform, lambda head: head.seq > before and head.table.weight > 0, "it has its first weight")
        load.stop()
        summary = load.result()
    revisions = [one for one in platform.store.revisions(MODEL) if one.seq > before]
    shadowed = next(one for one in revisions if one.state.phase is Phase.SHADOWING)
    check = next(one for one in head.evidence if one.gate == "agreement")
    seconds = (head.created_at - shadowed.created_at).total_seconds()
    status = _shadow_status(platform)
    return {
        "seconds": round(seconds, 2),
        "pairs": int(check.numbers["pairs"]),
        "differ": int(check.numbers["differ"]),
        "requests": round(plan.rate * seconds),
        "logSafe": check.numbers["log_safe"],
        "safeAt": check.numbers["safe_at"],
        "reason": check.reason,
        "failed": summary.failed,
        "lost": status.lost,
    }


def _shadow_status(platform: Platform) -> ShadowStatus:
    return ShadowStatus.model_validate(json.loads(platform.command("shadow", MODEL, "-o", "json")))


def _wait(platform: Platform, is_so: Any, what: str) -> Revision:
    try:
        platform.process.wait_until(lambda: is_so(platform.head(MODEL)), what, within=90)
    except ProcessFailed as failed:
        raise ProcessFailed(f"{failed}\n{platform.store.status(MODEL)}\n{platform.logs()}") from None
    return platform.head(MODEL)


def _fill_ring(answers: int) -> dict[str, Any]:
    """Record answers as fast as possible: at full size as many as in an hour at a thousand requests per second."""
    size = Settings().answers_bytes
    ring = AnswerRecords(Reader(Sum), size)
    rows = [Sum(total=float(number), kind=f"kind {number}") for number in range(100)]
    ids = [b"%08x-0000-4000-8000-%012x" % (number * 2654435761 % 2**32, number) for number in range(10_000)]
    for number in range(5000):  # after this all labels are known, so further growth would depend on traffic
        ring.add(ids[number], 200, rows[number % 100 : number % 100 + 1], shadow=False, record=True)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    began = time.perf_counter()
    for number in range(answers):
        at = number % 100
        ring.add(ids[number % 10_000], 200, rows[at : at + 1], shadow=bool(number % 2), record=True)
    seconds = time.perf_counter() - began
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    page = ring.page("another", 0)
    untraced = time.perf_counter()
    for number in range(50_000):
        ring.add(ids[number % 10_000], 200, rows[:1], shadow=False, record=True)
    each = (time.perf_counter() - untraced) / 50_000
    return {
        "answers": answers,
        "bytes": ring.size,
        "allowed": size,
        "grew": after - before,
        "records": ring.size // RECORD.size,
        "lost": page.lost,
        "seconds": round(seconds, 2),
        "microseconds": round(each * 1e6, 2),
    }


def _judge_swapped(runs: list[dict[str, Any]], found: proof.Findings) -> None:
    seconds = [one["seconds"] for one in runs]
    for rate in dict.fromkeys(one["rate"] for one in runs):
        most = max(one["pairs"] for one in runs if one["rate"] == rate)
        claim = f"swapped classes at {rate:g} requests/s: pairs when refused, most"
        found.claim(claim, f"<= {MAX_PAIRS}", most, most <= MAX_PAIRS)
    found.note("swapped classes: seconds of shadow, most", max(seconds))
    found.claim(
        "swapped classes: refused by",
        "agreement",
        runs[0]["reason"],
        all("agreement:" in one["reason"] for one in runs),
    )
    weights = max(one["mostWeight"] for one in runs)
    found.claim("swapped classes: most weight it ever had", "0", weights, weights == 0)
    classes = [one["classChanged"] == one["differ"] > 0 for one in runs]
    found.claim("swapped classes: every difference is another class", "yes", all(classes), all(classes))
    named = all(one["worst"] and one["worst"][0]["kind"] == "class" for one in runs)
    found.claim("`fairlead shadow` names the requests", "yes", named, named)
    failed = sum(one["failed"] for one in runs)
    found.claim("users' failed requests meanwhile", "0", failed, failed == 0)
    found.numbers["swapped"] = runs


def _judge_same(one: dict[str, Any], found: proof.Findings) -> None:
    proven = one["logSafe"] >= one["safeAt"] and not one["differ"]
    found.claim("the same model again: proven to agree", "yes", one["reason"], proven)
    found.note("the same model again: pairs, seconds of shadow", f"{one['pairs']}, {one['seconds']}")
    # The client sends the same id and forged headers with every request. Each request must still be its own pair.
    share = one["pairs"] / max(1, one["requests"])
    found.claim(
        "one id repeated by the client: pairs of requests sent meanwhile",
        "50 to 110 % (the first and the last seconds are in no window)",
        f"{one['pairs']} of {one['requests']}",
        0.5 <= share <= 1.1,
    )
    found.claim("the same, failed requests", "0", one["failed"], one["failed"] == 0)
    found.numbers["same"] = one


def _judge_ring(one: dict[str, Any], found: proof.Findings) -> None:
    found.claim("ring: bytes", f"<= {one['allowed']:,}", f"{one['bytes']:,}", one["bytes"] <= one["allowed"])
    found.claim(f"ring: grew by {one['answers']:,} answers, bytes", "< 16,384", one["grew"], one["grew"] < 16_384)
    overwritten = one["answers"] + 5000 - one["records"]
    found.claim(
        "ring: says how many were overwritten", f"{overwritten:,}", f"{one['lost']:,}", one["lost"] == overwritten
    )
    found.note("ring: microseconds to keep one answer", one["microseconds"])
    found.numbers["ring"] = one


if __name__ == "__main__":
    proof.run("shadow", TITLE, prove)
