"""What the gates on services' own counts say: what was counted, what is missing, and what can never come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce

from fairlead.contracts.gates import GateSpec
from fairlead.contracts.window import GateEvidence, Measured, VersionsMeasured, Window
from fairlead.rollout.policy.evidence import is_judged
from fairlead.rollout.policy.measured_gates import (
    LEAST_LABELS,
    LEAST_LOAD,
    LEAST_ROWS,
    has_load,
    has_other_bins,
    knows_cost,
    predictions,
)
from fairlead.rollout.policy.situation import Situation

_WHY_MISSING: Mapping[str, str] = {
    "quality": (
        "counts no labels that gate 'quality' can use: set feedbackBytes of its service, and maxError of the gate "
        "where answers are numbers"
    ),
    "cost": (
        "does not know its CPU seconds: it runs the model in processes of their own, or is of an earlier release; "
        "switch gate 'cost' off"
    ),
}


def all_measured(windows: Iterable[Window]) -> VersionsMeasured:
    """What was counted in all these windows."""
    found = (one.measured for one in windows if one.measured is not None)
    return reduce(VersionsMeasured.plus, found, VersionsMeasured())


def compared_later(situation: Situation, gate: GateSpec) -> str:
    """Why the gate does not hold a step although nothing can be compared in it; empty in the last step.

    A candidate with one instance beside one of stable gets comparable load only at a higher weight.
    """
    plan = situation.strategy.steps
    if gate.name != "cost" or not plan or situation.weight >= plan[-1].weight or _unusable(situation, gate):
        return ""
    mine = all_measured(situation.phase_windows)
    return f"not compared in this step: {_too_little(situation, mine)}" if _has_too_little(mine) else ""


def unmeasured(situation: Situation, gate: GateSpec, evidence: GateEvidence) -> str:
    """What is still missing before the gate can say anything; empty if nothing is."""
    if why := _unusable(situation, gate):
        return why
    windows = situation.observation.windows
    every, step = all_measured(windows), all_measured(situation.phase_windows)
    if gate.name == "predictionDrift" and any(map(has_other_bins, windows)):
        return (
            "the profiles of the two versions have different bins: build the candidate's again with `fairlead profile "
            "build --edges-from`"
        )
    if not situation.strategy.min_requests:
        return ""
    return _not_enough(situation, gate, evidence, every, step)


def _unusable(situation: Situation, gate: GateSpec) -> str:
    """Why the gate cannot work now, or the newest window says nothing; empty otherwise.

    An older window is no reason: what was missing is there after a service was given its setting and started again.
    """
    newest = all_measured(situation.observation.windows[-1:])
    both = ((situation.candidate, newest.candidate), (situation.stable, newest.stable))
    for version, found in both:
        if gate.name in found.missing:
            return f"{version} {_WHY_MISSING[gate.name]}"
    for version, found in both:
        if not found.seconds:
            return f"the services of {version} told nothing of themselves in the last window"
    return ""


def _not_enough(
    situation: Situation, gate: GateSpec, evidence: GateEvidence, every: VersionsMeasured, step: VersionsMeasured
) -> str:
    candidate, stable = situation.candidate, situation.stable
    if gate.name == "predictionDrift":
        counted = [predictions(one) for one in situation.phase_windows]
        if not any(one.candidate and one.stable for one in counted):
            return "no prediction was counted in this step: answers have no class, and no profile bins their number"
        return "" if is_judged(evidence) else "too few predictions of both versions yet"
    if gate.name == "quality":
        if is_judged(evidence) and step.candidate.labels.n and step.stable.labels.n:
            return ""
        ours, theirs = every.candidate.labels.n, every.stable.labels.n
        if min(ours, theirs) < LEAST_LABELS:
            return f"{ours:,} labels of {candidate} and {theirs:,} of {stable}: {LEAST_LABELS} of each are needed"
        return f"too few labels came in this step: {step.candidate.labels.n:,} of {candidate}"
    if _has_too_little(step):
        return f"its cost cannot be compared: {_too_little(situation, step)}"
    if not is_judged(evidence):
        return f"{LEAST_ROWS} rows of each version are needed to compare their cost"
    return ""


def _has_too_little(found: VersionsMeasured) -> bool:
    one, other = found.candidate, found.stable
    return bool(one.rows and other.rows) and not has_load(one.rows, one.seconds, other.rows, other.seconds)


def _too_little(situation: Situation, found: VersionsMeasured) -> str:
    one, other = found.candidate, found.stable
    return (
        f"an instance of {situation.candidate} answers {one.rows / one.seconds:.3g} rows a second, one of "
        f"{situation.stable} {other.rows / other.seconds:.3g}; at least {LEAST_LOAD:.0%} of that is needed"
    )


def cost_in_words(situation: Situation, gate: GateSpec) -> str:
    """ "0.9 CPU seconds for 1,000 rows against 0.45, 2 times as many (1.3 are allowed), "; empty before rows."""
    found = _compared(situation)
    if not found.candidate.cost or not found.stable.cost:
        return ""
    ours, theirs = 1000 * found.candidate.cost, 1000 * found.stable.cost
    return (
        f"{ours:.3g} CPU seconds for 1,000 rows against {theirs:.3g}, {ours / theirs:.3g} times as many "
        f"({gate.allowed_ratio:g} are allowed), "
    )


def cost_in_numbers(situation: Situation) -> dict[str, float]:
    """The rows of both versions, and the CPU seconds for 1,000 of them."""
    found = _compared(situation)
    arms: tuple[tuple[str, Measured], ...] = (("candidate", found.candidate), ("stable", found.stable))
    return {
        **{f"{name}_rows": one.rows for name, one in arms},
        **{f"{name}_cpu_s_per_1000": round(1000 * one.cost, 4) for name, one in arms},
    }


def _compared(situation: Situation) -> VersionsMeasured:
    """What counts as evidence of the cost."""
    windows = [(one, one.measured) for one in situation.observation.windows if one.measured is not None]
    return all_measured(one for one, told in windows if knows_cost(told) and not _has_too_little(told))
