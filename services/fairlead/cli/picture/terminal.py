"""An attempt's evidence for a terminal: blocks per gate, full where the threshold is reached, and the weight below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log

from rich.text import Text

from fairlead.cli.output import moment, percent
from fairlead.cli.picture.attempt import Attempt, GateLine
from fairlead.contracts.route import TOTAL_WEIGHT

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"
MAX_COLUMNS = 60
"""Columns for time. With more windows, several share a column."""
DEFAULT_THRESHOLD = log(100)
"""Scales a line where no check of the gate is stored."""


def draw(attempt: Attempt) -> Text:
    """One line per gate and one for the weight, each with its name, its blocks and its last value."""
    whole = attempt.windows
    spans = _spans(len(whole))
    names = ["for harm", *(line.gate for line in attempt.harm), "for safety", "weight"]
    margin = max(map(len, names)) + 2
    gaps = [all(whole[at].gap is not None for at in span) for span in spans]
    out = Text()
    for title, lines in (("for harm", attempt.harm), ("for safety", attempt.safe)):
        out.append(f"{title}\n", style="bold")
        for line in lines:
            out.append(f"{line.gate:<{margin}}").append(_blocks(line, spans, gaps, harm=title == "for harm"))
            style = "bold red" if line.is_reached and title == "for harm" else ""
            out.append(f"  {line.describe()}\n", style=style)
    weights = _row(spans, lambda span: max(whole[at].weight for at in span) / TOTAL_WEIGHT)
    out.append(f"{'weight':<{margin}}", style="bold").append(weights).append(f"  {percent(whole[-1].weight)}\n")
    first, last = moment(attempt.start), moment(attempt.end)
    out.append(" " * margin).append(f"{first}  to  {last}, attempt {attempt.number}; {GAP} could not be counted\n")
    return out


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
