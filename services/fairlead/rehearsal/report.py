"""The report of a run as rows: what the scenario did, what the engine did, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from fairlead.contracts.base import format_duration
from fairlead.contracts.revision import Cause, Revision
from fairlead.contracts.scenario import Behaviour, Event, Outcome, Scenario
from fairlead.rehearsal.frames import TICK_S, Frame, Run, share_of

MIN_REPORTED_HOLD_S = 15.0
"""Shorter holds are not reported: every step waits a moment for its first requests."""


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One row: what happened at a time, and the candidate's weight from then on."""

    at_s: float
    weight: int
    what: str
    why: str = ""


def report_lines(played: Run) -> list[ReportLine]:
    """The rows of the run's report, in order of time."""
    # A run in real time may end before its scenario: events after its end did not happen.
    events = (line for line in _events(played) if line.at_s <= played.frames[-1].at_s)
    lines = [*events, *_decisions(played), *_holds(played.frames)]
    return sorted(lines, key=lambda line: line.at_s)


def _decisions(played: Run) -> Iterator[ReportLine]:
    for revision in played.revisions:
        at_s = (revision.created_at - played.released_at).total_seconds()
        yield ReportLine(at_s, share_of(revision), *_decision(revision))


def _decision(revision: Revision) -> tuple[str, str]:
    """What a revision did, and the reason that explains it best."""
    if revision.cause is Cause.ROLLED_BACK:
        what, _, why = revision.reason.partition(": ")
        return (what, why) if why else ("rolled back", revision.reason)
    if revision.cause in (Cause.STEP, Cause.PROMOTED):
        counted = next((check for check in revision.evidence if check.gate == "errors"), None)
        return revision.reason, f"errors: {counted.reason}" if counted else ""
    return revision.reason, ""


def _holds(frames: Sequence[Frame]) -> Iterator[ReportLine]:
    """Holds of MIN_REPORTED_HOLD_S or more: something other than the step's duration kept the weight."""
    for (outcome, _, weight), group in groupby(frames, key=lambda frame: (frame.outcome, frame.gate, frame.weight)):
        during = list(group)
        lasted_s = during[-1].at_s - during[0].at_s + TICK_S
        if outcome is Outcome.HELD and lasted_s >= MIN_REPORTED_HOLD_S:
            # The numbers in the reason change over time; report the text that was shown most often.
            why = Counter(frame.why for frame in during).most_common(1)[0][0]
            yield ReportLine(during[0].at_s, weight, f"held for {format_duration(lasted_s)}", why)


def _events(played: Run) -> Iterator[ReportLine]:
    scenario, frames = played.scenario, played.frames
    for load in scenario.load[1:]:
        yield ReportLine(load.since, _weight(frames, load.since), f"load: {load.rate:g} requests/s")
    for event in scenario.events:
        yield ReportLine(event.at, _weight(frames, event.at), _describe(event, scenario))
        if event.until is not None and event.until <= scenario.duration:
            yield ReportLine(event.until, _weight(frames, event.until), f"ended: {_describe(event, scenario)}")


def _describe(event: Event, scenario: Scenario) -> str:
    if event.fault is not None:
        return event.fault.replace("-", " ")
    if event.action is not None:
        return f"action: {event.action}"
    name, change = next(
        (name, change)
        for name, change in (("candidate", event.candidate), ("stable", event.stable), ("both", event.both))
        if change is not None
    )
    return f"{name}: {', '.join(_changes(change))}"


def _changes(change: Behaviour) -> Iterator[str]:
    for name in sorted(change.model_fields_set):
        value = getattr(change, name)
        if name in ("errors", "rejections"):
            yield f"{name} {100 * value:g} %"
        elif name == "latency":
            yield f"latency median {format_duration(value.median)}"
        else:
            yield f"{name} {value}"


def _weight(frames: Sequence[Frame], at_s: float) -> int:
    return [frame.weight for frame in frames if frame.at_s <= at_s][-1]
