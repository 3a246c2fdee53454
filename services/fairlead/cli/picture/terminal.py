"""An attempt's evidence for a terminal: blocks per gate, full where the threshold is reached, and the weight below."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from fairlead.cli.output import moment, percent
from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.views.attempt import DEFAULT_THRESHOLD, HARM, SAFE, Attempt, GateLine

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"
MAX_COLUMNS = 60
"""Columns for time. With more windows, several share a column."""


def draw(attempt: Attempt) -> Text:
    """One line per gate and one for the weight, each with its name, its blocks and its last value.

    The attempt must have a window.
    """
    whole = attempt.windows
    spans = _spans(len(whole))
    names = ["for harm", *(line.gate for line in attempt.harm), "for safety", "weight"]
    margin = max(map(len, names)) + 2
    gaps = [all(whole[at].gap is not None for at in span) for span in spans]
    out = Text()
    for title, lines, effect in (("for harm", attempt.harm, HARM), ("for safety", attempt.safe, SAFE)):
        out.append(f"{title}\n", style="bold")
        for line in lines:
            out.append(f"{line.gate:<{margin}}").append(_blocks(line, spans, gaps, harm=effect == HARM))
            style = "bold red" if line.is_reached and effect == HARM else ""
            out.append(f"  {line.describe(effect)}\n", style=style)
    out.append(f"{'weight':<{margin}}", style="bold").append(_weights(attempt, spans)).append("\n")
    first, last = moment(whole[0].start), moment(whole[-1].end)
    out.append(" " * margin).append(f"{first}  to  {last}, attempt {attempt.number}; {GAP} could not be counted\n")
    return out


def _weights(attempt: Attempt, spans: Sequence[range]) -> str:
    """The weight in every column; after the end, one more column with the weight that the end left."""
    row = _row(spans, lambda span: max(attempt.windows[at].weight for at in span) / TOTAL_WEIGHT)
    end = attempt.end
    if end is None:
        return f"{row}  {percent(attempt.windows[-1].weight)}"
    return f"{row}{_row([range(1)], lambda _: end.weight / TOTAL_WEIGHT)} {percent(end.weight)}, {end.what}"


def _blocks(line: GateLine, spans: Sequence[range], gaps: Sequence[bool], *, harm: bool) -> Text:
    threshold = line.threshold or DEFAULT_THRESHOLD
    row, out = _row(spans, lambda span: max(line.log_e[at] for at in span) / threshold), Text()
    for block, gap in zip(row, gaps, strict=True):
        full = "red" if harm else "green"
        out.append(GAP if gap else block, style="dim" if gap else full if block == BLOCKS[-1] else "")
    return out


def _row(spans: Sequence[range], part: Callable[[range], float]) -> str:
    """One block per span. The full block is used at 100 % or more only."""
    last = len(BLOCKS) - 1
    return "".join(BLOCKS[last if part(span) >= 1 else int(max(0.0, part(span)) * last)] for span in spans)


def _spans(n: int) -> list[range]:
    columns = min(n, MAX_COLUMNS)
    return [range(at * n // columns, (at + 1) * n // columns) for at in range(columns)]
