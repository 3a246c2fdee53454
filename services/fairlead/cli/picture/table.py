"""An attempt's windows as rows of a table. Windows that say the same are one row. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log

from rich.table import Table

from fairlead.cli.output import make_table, moment, percent
from fairlead.contracts.base import format_e_value
from fairlead.contracts.window import GateEvidence, Window
from fairlead.rollout.analysis.counts import CHANGED_GAP
from fairlead.views.attempt import HARM, SAFE, Attempt, GateLine, gap_in_words

FIXED_COLUMNS = ("UNTIL", "LED TO", "WEIGHT", "CANDIDATE", "STABLE")


@dataclass(frozen=True, slots=True)
class _Row:
    led_to: str
    weight: int
    note: str
    """Why the window counts nothing; empty if it counts something."""


def columns(attempt: Attempt) -> tuple[str, ...]:
    """The headings."""
    return (*FIXED_COLUMNS, *(line.gate.upper() for line in attempt.harm), "NOTE")


def rows(attempt: Attempt) -> Iterator[tuple[str, ...]]:
    """One row per window. Consecutive windows that count nothing, for the same reason, share one row.

    Windows in which the table changed, as at each beginning, have no row: `conclusion` has their number.
    """
    gates = [line.gate for line in attempt.harm]
    found = ((_Row(led_to, window.weight, _note(window)), window) for led_to, window in _shown(attempt))
    for row, group in groupby(found, key=lambda one: one[0]):
        same = [window for _, window in group]
        if row.note:
            yield _folded(row, same, len(gates))
        else:
            yield from (_counted(row, window, gates) for window in same)


def legend(attempt: Attempt) -> str:
    """What the columns of a table mean, and how much evidence is enough."""
    text = "CANDIDATE, STABLE: bad requests of all. Gates: evidence for harm / for safety in this attempt; 1 is none."
    if any(_is_unconfirmed(one) for window in attempt.windows for one in window.evidence):
        text += ' "2 of 812": only 2 counts, because the rest is of too few windows.'
    enough = [*_enough(attempt.harm, HARM), *_enough(attempt.safe, SAFE)]
    return f"{text} {', '.join(enough)}." if enough else text


def make(attempt: Attempt) -> Table:
    """The table of an attempt that has windows."""
    return make_table(columns(attempt), rows(attempt))


def conclusion(attempt: Attempt) -> Iterator[str]:
    """What the table means, and how the attempt ended."""
    if not attempt.windows:
        whole = "this attempt" if attempt.is_complete else "the revisions shown of this attempt"
        yield f"nothing was counted in {whole}"
    elif all(map(is_empty, attempt.windows)):
        yield "there is no evidence about this attempt: neither version got a request while it was counted"
    else:
        yield legend(attempt)
        left_out = len(attempt.windows) - len(_shown(attempt))
        if left_out:
            windows = "1 window" if left_out == 1 else f"{left_out} windows"
            yield f"Not shown: {windows} in which the routing table changed."
    ends = [event for event in attempt.events if event.is_end]
    for event in ends:
        why = _why(event.reason, attempt)
        yield f"{event.what} at {moment(event.at)} by {event.actor}, revision {event.revision}: {why}"
    if not ends and attempt.events:
        yield f"in progress, {percent(attempt.events[-1].weight)} of the requests for {attempt.candidate}"


def _why(reason: str, attempt: Attempt) -> str:
    """The reason of an end, without what the line says already."""
    return reason.removeprefix(f"{attempt.candidate} was rolled back: ")


def is_empty(window: Window) -> bool:
    """Whether no request was counted in the window, although it could be counted."""
    arms = (window.candidate, window.stable, window.rejections.candidate, window.rejections.stable)
    others = (one for custom in window.custom.values() for one in (custom.arms.candidate, custom.arms.stable))
    asked = window.assigned or any(one.n for one in (*arms, *others))
    return window.gap is None and not asked and not window.pairs.n


def _shown(attempt: Attempt) -> list[tuple[str, Window]]:
    every = list(_windows(attempt))
    return [one for one in every if one[1].gap != CHANGED_GAP] or every


def _windows(attempt: Attempt) -> Iterator[tuple[str, Window]]:
    return zip(attempt.led_to, attempt.windows, strict=True)


def _note(window: Window) -> str:
    return gap_in_words(window.gap or "") or ("without requests" if is_empty(window) else "")


def _folded(row: _Row, windows: Sequence[Window], gates: int) -> tuple[str, ...]:
    count = f"{len(windows)} windows" if len(windows) > 1 else "1 window"
    note = f"{count} {row.note}" if windows[0].gap is None else f"{count} not counted: {row.note}"
    return (moment(windows[-1].end), row.led_to or "-", percent(row.weight), "-", "-", *["-"] * gates, note)


def _counted(row: _Row, window: Window, gates: Sequence[str]) -> tuple[str, ...]:
    odds = {one.gate: f"{_harm(one)} / {format_e_value(one.log_safe)}" for one in window.evidence}
    counts = (f"{one.bad:,} of {one.n:,}" for one in (window.candidate, window.stable))
    shown = (odds.get(gate, "-") for gate in gates)
    return (moment(window.end), row.led_to or "-", percent(row.weight), *counts, *shown, "")


def _harm(evidence: GateEvidence) -> str:
    """The evidence for harm that counts; "1.9 of 812" where the rest is of too few windows to count."""
    counts = format_e_value(evidence.log_harm)
    return f"{counts} of {format_e_value(evidence.log_unconfirmed or 0.0)}" if _is_unconfirmed(evidence) else counts


def _is_unconfirmed(evidence: GateEvidence) -> bool:
    """Whether evidence worth a mention is of too few windows to count."""
    return evidence.log_unconfirmed is not None and evidence.log_unconfirmed > log(10)


def _enough(lines: Sequence[GateLine], effect: str) -> Iterator[str]:
    """The thresholds: once if all gates share it, else with the gates' names."""
    thresholds = dict.fromkeys(line.threshold for line in lines if line.threshold is not None)
    for threshold in thresholds:
        gates = ", ".join(line.gate for line in lines if line.threshold == threshold)
        yield f"{format_e_value(threshold)} {effect}" + (f" ({gates})" if len(thresholds) > 1 else "")
