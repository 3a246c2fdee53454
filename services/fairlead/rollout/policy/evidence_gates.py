"""The evidence gates: the verdict on the evidence so far (pass, fail or inconclusive), with a reason for people.

A gate fails when the evidence for harm reaches its part of alpha. With preset `quick` it passes when there is no
evidence for harm, which does not prove safety; with `strict` it passes when safety is shown. Everything else is
inconclusive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

from fairlead.contracts.answers import ClassCounts
from fairlead.contracts.base import format_duration, format_e_value
from fairlead.contracts.gates import MEASURED, GateSpec, is_custom
from fairlead.contracts.revision import Check, Phase, Verdict
from fairlead.contracts.window import Buckets, Counts, GateEvidence, Window, add_buckets
from fairlead.rollout.analysis.counts import CHANGED_GAP, EARLY_GAP
from fairlead.rollout.policy.agreement import judge_agreement
from fairlead.rollout.policy.evidence import (
    active_gates,
    gap_of,
    is_counted,
    is_judged,
    is_timed,
    only_watches,
    threshold,
)
from fairlead.rollout.policy.measured_gates import predictions
from fairlead.rollout.policy.measured_reasons import (
    all_measured,
    compared_later,
    cost_in_numbers,
    cost_in_words,
    unmeasured,
)
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.time_limit import percentile, stable_latency

_WORSE: Mapping[str, str] = {
    "errors": "fails more often than",
    "rejections": "rejects more requests than",
    "latency": "is slower than",
    "classes": "answers another mix of classes than",
    "starved": "did not get most of its requests, unlike",
    "quality": "is wrong more often than",
    "cost": "uses more CPU for a row than is allowed beside",
    "predictionDrift": "predicts otherwise than",
}


QUIET_WINDOWS = 60
"""Evidence of a few windows holds the weight until the candidate was not worse in so many windows after them: five
minutes at a window of five seconds. Without an end two bad windows held it for ever, because the bettor that believes
what it has seen bets no more once the candidate is good, and so keeps what it has won."""
_STATUSES: Mapping[str, str] = {"errors": "5", "rejections": "4"}
"""How the statuses begin that a gate counts."""


@dataclass(frozen=True, slots=True)
class EvidenceGate:
    """One evidence gate in one situation."""

    situation: Situation
    gate: GateSpec

    @property
    def evidence(self) -> GateEvidence:
        """The gate's evidence in the newest window."""
        windows = self.situation.observation.windows
        found = windows[-1].evidence if windows else ()
        return next((one for one in found if one.gate == self.gate.name), GateEvidence(gate=self.gate.name))

    @property
    def _requests(self) -> float:
        """The evidence for harm of the requests, confirmed by the windows or not."""
        evidence = self.evidence
        return evidence.log_harm if evidence.log_unconfirmed is None else evidence.log_unconfirmed

    @property
    def _is_pending(self) -> bool:
        """Whether the requests say that the candidate is worse, and windows may still confirm it."""
        is_enough = self._requests >= threshold(self.situation.strategy, self.gate)
        return is_enough and self._quiet_windows < QUIET_WINDOWS

    @property
    def _quiet_windows(self) -> int:
        """In how many of the newest windows, in which both versions answered, the candidate was not worse."""
        quiet, worse = 0, self.evidence.worse_windows
        for window in reversed(self.situation.observation.windows):
            found = next((one for one in window.evidence if one.gate == self.gate.name), None)
            if found is not None and found.worse_windows != worse:
                break
            quiet += is_informative(window)
        # The oldest of these is the window in which it was worse.
        return max(0, quiet - 1)

    def judge(self) -> Check:
        """The verdict. Before the first weight the gate passes: the candidate serves no users yet."""
        situation = self.situation
        if situation.head.state.phase is not Phase.CANARY:
            return self._check(Verdict.PASS, "nothing to compare before the first weight")
        if self.evidence.log_harm >= threshold(situation.strategy, self.gate):
            return self._check(Verdict.FAIL, self._harm())
        if self._is_pending:
            return self._undecided(self._unconfirmed())
        if only_watches(situation.strategy, self.gate.name):
            return self._check(Verdict.PASS, self._watched())
        unavailable = self._unavailable()
        if unavailable is not None:
            return unavailable
        if self.gate.name in MEASURED and (later := compared_later(self.situation, self.gate)):
            return self._check(Verdict.PASS, later)
        held = self._held()
        return self._undecided(held) if held else self._check(Verdict.PASS, self._passed())

    def _unavailable(self) -> Check | None:
        """The verdict when the last window could not be counted: hold, later what onMetricsUnavailable says."""
        setting, name = self.situation.strategy.on_metrics_unavailable, self.gate.name
        unread = self.situation.unread_answers
        if (name == "classes" or name in MEASURED) and unread:
            return self._check(Verdict.INCONCLUSIVE, unread)
        windows: Sequence[Window] = self.situation.observation.windows
        if is_custom(name):
            windows = [one for one in windows if is_counted(name, one)]
        gap = gap_of(name, windows[-1]) if windows else None
        if gap in (None, CHANGED_GAP, EARLY_GAP):
            return None
        # Only observed time counts: that the control plane was down is no metrics outage.
        seconds = 0.0
        for window in reversed(windows):
            if gap_of(name, window) is None:
                break
            seconds += window.seconds if window.ready is not None else 0.0
        if setting.then == "rollback" and seconds > setting.hold:
            why = (
                f"nothing could be counted for {format_duration(setting.hold)}, and onMetricsUnavailable says roll back"
            )
            return self._check(Verdict.FAIL, why)
        return self._check(Verdict.INCONCLUSIVE, f"the last window is no evidence: {gap}")

    def _held(self) -> str:
        """What is still missing for a pass; empty if nothing is."""
        strategy, step = self.situation.strategy, self.situation.counted_windows
        answered, both = sum(one.candidate.n for one in step), sum(is_informative(one) for one in step)
        candidate = self.situation.candidate
        if answered < strategy.min_requests:
            return f"{candidate} answered {answered:,} of {strategy.min_requests:,} requests in this step"
        if self.gate.name == "starved":
            return self._starving()
        if self.gate.name in MEASURED:
            return unmeasured(self.situation, self.gate, self.evidence) or self._unshown(both)
        if strategy.min_requests and not is_judged(self.evidence):
            return f"nothing could be judged yet: no window in which {candidate}'s answers were all its own"
        if strategy.min_requests and not self._is_counted_in_this_step():
            return f"nothing was counted for {self.gate.name} in this step"
        return self._unshown(both)

    def _unshown(self, both: int) -> str:
        """What is missing for a proof of safety; empty if none is asked for, or nothing is missing."""
        strategy = self.situation.strategy
        if strategy.preset == "quick":
            return ""
        if both < strategy.min_windows:
            return f"both versions answered in {both} of {strategy.min_windows} windows of this step"
        shown, enough = self.evidence.log_safe, -log(strategy.beta)
        if shown < enough:
            return f"safety is not shown yet: evidence {format_e_value(shown)}, {format_e_value(enough)} is enough"
        return ""

    def _watched(self) -> str:
        """The reason of a gate that found no harm and is not asked for more."""
        name = self.gate.name
        if name == "classes" and (unread := self.situation.unread_answers):
            return f"not watched: {unread}"
        if is_judged(self.evidence):
            return f"watched: {self._counted()}evidence of harm {format_e_value(self.evidence.log_harm)}"
        windows = self.situation.observation.windows
        if name == "classes" and not any(one.classes.candidate or one.classes.stable for one in windows):
            return "not watched: no answer named a class"
        return "not watched yet: too few answers of both versions"

    def _is_counted_in_this_step(self) -> bool:
        """False when what the gate judges was not reported in this step: what earlier steps showed is not enough."""
        name, situation = self.gate.name, self.situation
        if is_custom(name):
            return any(name in one.custom and one.custom[name].arms.candidate.n for one in situation.phase_windows)
        if name == "latency":
            return any(is_timed(one) for one in situation.counted_windows)
        if name == "classes":
            return any(one.classes.candidate and one.classes.stable for one in situation.counted_windows)
        return True

    def _starving(self) -> str:
        _, assigned, elsewhere = self.evidence.state.get("open", (0.0, 0.0, 0.0))
        if assigned and elsewhere > self.gate.starved_share * assigned:
            return f"{elsewhere:,.0f} of its last {assigned:,.0f} requests did not reach {self.situation.candidate}"
        return ""

    def _undecided(self, held: str) -> Check:
        setting = self.situation.strategy.on_inconclusive
        if setting.do == "hold" or self.situation.observed_s <= setting.after:
            return self._check(Verdict.INCONCLUSIVE, held)
        after = f"after {format_duration(setting.after)} ({held}), and onInconclusive says"
        if setting.do == "promote":
            return self._check(Verdict.PASS, f"undecided {after} go on")
        return self._check(Verdict.FAIL, f"undecided {after} roll back")

    def _harm(self) -> str:
        against = format_e_value(threshold(self.situation.strategy, self.gate))
        summary = f"{self.situation.candidate} {self._worse()}"
        return (
            f"{summary}: {self._counted()}evidence {format_e_value(self.evidence.log_harm)} to 1, {against} is enough"
            f"{self._windows()}{self._most_frequent()}"
        )

    def _unconfirmed(self) -> str:
        """The reason to wait: the requests say that the candidate is worse, but most of them are of a few windows."""
        return (
            f"{self._counted()}evidence {format_e_value(self._requests)} to 1 for harm, but of too few windows to count"
            f"{self._windows()}"
        )

    def _windows(self) -> str:
        """ "; 12 of 14 windows say the same", or nothing for a gate that compares no windows."""
        worse, told = self.evidence.worse_windows, self.evidence.told_windows
        if not told:
            return ""
        return f"; {worse} of {told} windows say the same"

    def _most_frequent(self) -> str:
        """What the candidate's instances told most often of the requests that the gate counts; empty if nothing."""
        statuses, candidate = _STATUSES.get(self.gate.name), self.situation.candidate
        if statuses is None or candidate is None:
            return ""
        told = {
            name.split(" ", 1)[1]: count
            for name, count in self.situation.observation.problems.get(candidate, {}).items()
            if name.startswith(statuses) and " " in name
        }
        if not told:
            return ""
        most = max(told, key=lambda name: told[name])
        where = f" (fairlead logs {self.situation.route.name} --version {candidate.version})" if statuses == "5" else ""
        return f"; most often: {most}{where}"

    def _worse(self) -> str:
        if self.gate.limit is not None:
            return f"has more than {self.gate.limit:.3g} of {self.gate.name} bad"
        summary = _WORSE.get(self.gate.name, f"has more of {self.gate.name} bad than")
        return f"{summary} {self.situation.stable}"

    def _passed(self) -> str:
        strategy = self.situation.strategy
        if self.gate.name == "starved":
            return "its requests reach it"
        if strategy.preset == "strict":
            return f"safe: {self._counted()}evidence {format_e_value(self.evidence.log_safe)} to 1"
        enough_harm = format_e_value(threshold(strategy, self.gate))
        summary = (
            f"{self._counted()}evidence of harm {format_e_value(self.evidence.log_harm)}, {enough_harm} rolls back"
        )
        if self._requests >= threshold(strategy, self.gate):
            return f"{summary}; the requests said otherwise{self._windows()}, and none of the last {QUIET_WINDOWS} does"
        return f"no harm seen, which is no proof of safety: {summary}"

    def _counted(self) -> str:
        """What was counted of both versions over the attempt; ends with a comma where there is something."""
        if self.gate.name == "latency":
            return self._latencies()
        if self.gate.name in ("classes", "predictionDrift"):
            return self._moved_class()
        if self.gate.name == "cost":
            return cost_in_words(self.situation, self.gate)
        arms = self._arms()
        if arms is None:
            return ""
        shown = (f"{one.bad:,} of {one.n:,}" for one in arms)
        return f"{' against '.join([*shown][: 1 if self.gate.limit is not None else 2])}, {self._late()}"

    def _latencies(self) -> str:
        """Both versions' medians and 95th percentiles, in the windows that had both."""
        windows = [one for one in self.situation.observation.windows if is_timed(one)]
        shown = []
        for version in ("candidate", "stable"):
            found: Buckets = ()
            for window in windows:
                found = add_buckets(found, getattr(window.latency, version))
            half, most = (percentile(found, share, at_least=1) for share in (0.5, 0.95))
            if half is None or most is None:
                return ""
            shown.append(f"p50 {1000 * half:.3g} ms, p95 {1000 * most:.3g} ms")
        return f"{' against '.join(shown)}, "

    def _moved_class(self) -> str:
        """The class whose share of the answers differs most, with both shares."""
        both, of_bins = ClassCounts(), self.gate.name == "predictionDrift"
        for window in self.situation.observation.windows:
            found = predictions(window) if of_bins else window.classes
            if found.candidate and found.stable:
                both = both.plus(found)
        candidate, stable = sum(both.candidate.values()), sum(both.stable.values())
        if not candidate or not stable:
            return ""

        def shares(name: str) -> tuple[float, float]:
            return both.candidate.get(name, 0) / candidate, both.stable.get(name, 0) / stable

        classes = {name for one in self.situation.observation.windows for name in one.classes.candidate}
        most = max(sorted({*both.candidate, *both.stable}), key=lambda name: abs(shares(name)[0] - shares(name)[1]))
        one, other = shares(most)
        what = "number" if of_bins and most not in classes else "class"
        return f"{what} {most!r} is {one:.1%} of {candidate:,} answers against {other:.1%} of {stable:,}, "

    def _late(self) -> str:
        """How many requests took longer than the candidate's time limit; empty if none did."""
        limit, arms = self.situation.head.table.late_after_s, self._late_arms()
        if limit is None or not arms or not any(one.bad for one in arms):
            return ""
        candidate, stable = arms
        latency = stable_latency(self.situation.observation.windows)
        median = percentile(latency, 0.5, at_least=1)
        return (
            f"{candidate.bad:,} of {candidate.n:,} took longer than perTry {limit:g} s against {stable.bad:,} of "
            f"{stable.n:,}{f' (median {median:.2g} s)' if median is not None else ''}, "
        )

    def _late_arms(self) -> tuple[Counts, Counts] | None:
        if self.gate.name != "errors":
            return None
        windows = [one for one in self.situation.observation.windows if is_informative(one)]
        return (
            _sum([Counts(n=one.candidate.n, bad=one.failures.candidate.late) for one in windows]),
            _sum([Counts(n=one.stable.n, bad=one.failures.stable.late) for one in windows]),
        )

    def _arms(self) -> tuple[Counts, Counts] | None:
        windows = [one for one in self.situation.observation.windows if is_informative(one)]
        if is_custom(self.gate.name):
            tallies = [one.custom[self.gate.name].arms for one in self._custom_windows()]
            return _sum([one.candidate for one in tallies]), _sum([one.stable for one in tallies])
        if self.gate.name == "errors":
            return _sum([one.candidate for one in windows]), _sum([one.stable for one in windows])
        if self.gate.name == "quality":
            measured = all_measured(self.situation.observation.windows)
            return measured.candidate.labels, measured.stable.labels
        if self.gate.name == "rejections":
            arms = [one.rejections for one in windows]
            return _sum([one.candidate for one in arms]), _sum([one.stable for one in arms])
        return None

    def _custom_windows(self) -> list[Window]:
        return [one for one in self.situation.observation.windows if self.gate.name in one.custom]

    def _check(self, verdict: Verdict, reason: str) -> Check:
        strategy, evidence = self.situation.strategy, self.evidence
        numbers = {
            "log_harm": round(evidence.log_harm, 4),
            "log_safe": round(evidence.log_safe, 4),
            "harm_at": round(threshold(strategy, self.gate), 4),
            "safe_at": round(-log(strategy.beta), 4),
        }
        if evidence.log_unconfirmed is not None:
            numbers |= {"log_unconfirmed": round(evidence.log_unconfirmed, 4)}
        if evidence.told_windows:
            numbers |= {"worse_windows": evidence.worse_windows, "told_windows": evidence.told_windows}
        if self.gate.name == "cost":
            numbers |= cost_in_numbers(self.situation)
        if arms := self._arms():
            numbers |= {"candidate_n": arms[0].n, "candidate_bad": arms[0].bad}
            numbers |= {"stable_n": arms[1].n, "stable_bad": arms[1].bad}
        if (late := self._late_arms()) and any(one.bad for one in late):
            numbers |= {"candidate_late": late[0].bad, "stable_late": late[1].bad}
        return Check(gate=self.gate.name, verdict=verdict, reason=reason, numbers=numbers)


def judge_evidence(situation: Situation) -> dict[str, Check]:
    """The check of every evidence gate of the route."""
    return {
        gate.name: judge_agreement(situation, gate)
        if gate.name == "agreement"
        else EvidenceGate(situation, gate).judge()
        for gate in active_gates(situation.strategy)
    }


def is_informative(window: Window) -> bool:
    """True when both versions answered requests in this window."""
    return window.candidate.n > 0 and window.stable.n > 0


def _sum(counts: list[Counts]) -> Counts:
    return Counts(n=sum(one.n for one in counts), bad=sum(one.bad for one in counts))
