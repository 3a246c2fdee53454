"""Compares a scenario's expectations with the frames of a run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fairlead.contracts.base import format_duration
from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.contracts.scenario import Expectation
from fairlead.rehearsal.frames import Frame


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether one expectation held in one run, and what was seen."""

    expectation: Expectation
    held: bool
    seen: str


def judge(expectations: Sequence[Expectation], frames: Sequence[Frame]) -> tuple[Judgement, ...]:
    """Judge every expectation, in the scenario's order."""
    return tuple(_judge_one(one, frames) for one in expectations)


def _judge_one(expectation: Expectation, frames: Sequence[Frame]) -> Judgement:
    holds = _statement(expectation)
    if expectation.by is not None:
        return _once(expectation, [one for one in frames if one.at_s <= expectation.by], holds)
    if expectation.since is not None or expectation.never is not None:
        first, last = expectation.since or 0.0, expectation.until
        during = [one for one in frames if first <= one.at_s and (last is None or one.at_s <= last)]
        return _throughout(expectation, during or [frames[-1]], holds)
    at_s = frames[-1].at_s if expectation.at is None else expectation.at
    frame = [one for one in frames if one.at_s <= at_s][-1]
    held = holds(frame)
    return Judgement(expectation, held, describe(frame, why=not held))


def _once(expectation: Expectation, until: Sequence[Frame], holds: Callable[[Frame], bool]) -> Judgement:
    first = next((one for one in until if holds(one)), None)
    if first is None:
        return Judgement(expectation, False, f"not once; {_describe_at(until[-1])}")
    return Judgement(expectation, True, _describe_at(first, why=False))


def _throughout(expectation: Expectation, during: Sequence[Frame], holds: Callable[[Frame], bool]) -> Judgement:
    first = next((one for one in during if not holds(one)), None)
    if first is None:
        return Judgement(expectation, True, f"all the time; {_describe_at(during[-1], why=False)}")
    return Judgement(expectation, False, _describe_at(first))


def _statement(expectation: Expectation) -> Callable[[Frame], bool]:
    """The statement of an expectation, as a test of one frame."""
    never, least, most = expectation.never, expectation.weight_at_least, expectation.weight_at_most
    if never is not None:
        return lambda frame: frame.outcome is not never
    if least is not None:
        return lambda frame: frame.weight >= least
    if most is not None:
        return lambda frame: frame.weight <= most
    if expectation.weight is not None:
        return lambda frame: frame.weight == expectation.weight
    return lambda frame: (
        frame.outcome is expectation.outcome
        and expectation.gate in (None, frame.gate)
        and (expectation.reason or "") in frame.why
    )


def _describe_at(frame: Frame, *, why: bool = True) -> str:
    return f"at {format_duration(frame.at_s)} {describe(frame, why=why)}"


def describe(frame: Frame, *, why: bool = True) -> str:
    """A frame in words; with `why`, also the reason, which explains an expectation that did not hold."""
    gate = f" by {frame.gate}" if frame.gate else ""
    reason = f": {frame.why}" if frame.why else ""
    return f"weight {frame.weight * 100 / TOTAL_WEIGHT:g} %, {frame.outcome}{reason if why else gate}"
