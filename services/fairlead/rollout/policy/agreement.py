"""The gate `agreement`: compares the answers to mirrored requests before the candidate serves users.

A pair is one request that both versions answered. The gate fails when the evidence for more disagreement than allowed
reaches this gate's part of alpha. It passes with enough pairs; preset `strict` also needs evidence that disagreement is
rarer than allowed.
"""

from __future__ import annotations

from math import log

from fairlead.contracts.answers import Pairs
from fairlead.contracts.base import format_duration, format_e_value
from fairlead.contracts.gates import GateSpec
from fairlead.contracts.revision import Check, Phase, Verdict
from fairlead.contracts.window import GateEvidence
from fairlead.rollout.policy.evidence import threshold
from fairlead.rollout.policy.situation import Situation


def judge_agreement(situation: Situation, gate: GateSpec) -> Check:
    """The present verdict. Passing is decided while requests are mirrored; afterwards the gate can only fail."""
    evidence, phase = _evidence(situation), situation.head.state.phase
    if phase is Phase.PREPARING:
        return _check(situation, gate, Verdict.PASS, "nothing is mirrored yet")
    if evidence.log_harm >= threshold(situation.strategy, gate):
        return _check(situation, gate, Verdict.FAIL, _harm(situation, gate))
    if phase is Phase.CANARY:
        return _check(situation, gate, Verdict.PASS, f"judged before the first weight: {_counted(situation)}")
    unread = situation.unread_answers
    if unread:
        return _check(situation, gate, Verdict.INCONCLUSIVE, unread)
    held = _held(situation)
    return _undecided(situation, gate, held) if held else _check(situation, gate, Verdict.PASS, _passed(situation))


def _evidence(situation: Situation) -> GateEvidence:
    windows = situation.observation.windows
    found = windows[-1].evidence if windows else ()
    return next((one for one in found if one.gate == "agreement"), GateEvidence(gate="agreement"))


def _pairs(situation: Situation) -> Pairs:
    total = Pairs()
    for window in situation.observation.windows:
        total = total.plus(window.pairs)
    return total


def _held(situation: Situation) -> str:
    strategy, pairs = situation.strategy, _pairs(situation)
    least = strategy.shadow.min_pairs if strategy.shadow is not None else 0
    if pairs.n < least:
        return f"{pairs.n:,} of {least:,} mirrored requests were answered by both"
    shown, enough = _evidence(situation).log_safe, -log(strategy.beta)
    if strategy.preset == "strict" and shown < enough:
        return f"agreement is not shown yet: {format_e_value(shown)} of {format_e_value(enough)} to 1"
    return ""


def _undecided(situation: Situation, gate: GateSpec, held: str) -> Check:
    setting = situation.strategy.on_inconclusive
    if setting.do == "hold" or situation.observed_s <= setting.after:
        return _check(situation, gate, Verdict.INCONCLUSIVE, held)
    after = f"undecided after {format_duration(setting.after)} ({held}), and onInconclusive says"
    if setting.do == "promote":
        return _check(situation, gate, Verdict.PASS, f"{after} go on")
    return _check(situation, gate, Verdict.FAIL, f"{after} roll back")


def _harm(situation: Situation, gate: GateSpec) -> str:
    shown = format_e_value(_evidence(situation).log_harm)
    enough = format_e_value(threshold(situation.strategy, gate))
    disagreement = f"{situation.candidate} answers otherwise than {situation.stable} in {_counted(situation)}"
    return f"{disagreement}; {gate.max_disagreement:.3g} of all are allowed: evidence {shown} to 1, {enough} is enough"


def _passed(situation: Situation) -> str:
    counted, evidence = _counted(situation), _evidence(situation)
    if situation.strategy.preset == "strict":
        return f"it agrees: {counted}, evidence {format_e_value(evidence.log_safe)} to 1"
    return f"no disagreement worth stopping for was seen, which is no proof: {counted}"


def _counted(situation: Situation) -> str:
    """ "12 of 480 mirrored requests (10 another class, 2 failed)"."""
    pairs = _pairs(situation)
    kinds = {
        "another class": pairs.class_changed,
        "failed": pairs.failed,
        "another schema": pairs.schema_mismatch,
        "another score": pairs.score_moved,
    }
    named = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
    return f"{pairs.differ:,} of {pairs.n:,} mirrored requests" + (f" ({named})" if named else "")


def _check(situation: Situation, gate: GateSpec, verdict: Verdict, reason: str) -> Check:
    evidence, pairs = _evidence(situation), _pairs(situation)
    numbers = {
        "log_harm": round(evidence.log_harm, 4),
        "log_safe": round(evidence.log_safe, 4),
        "harm_at": round(threshold(situation.strategy, gate), 4),
        "safe_at": round(-log(situation.strategy.beta), 4),
        "pairs": pairs.n,
        "differ": pairs.differ,
    }
    return Check(gate=gate.name, verdict=verdict, reason=reason, numbers=numbers)
