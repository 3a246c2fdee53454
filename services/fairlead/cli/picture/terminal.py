"""The picture for a terminal: a line of blocks per gate, full where the evidence is enough, and the weights below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log

from rich.text import Text

from fairlead.cli.output import moment, percent
from fairlead.cli.picture.attempt import Attempt, Line
from fairlead.contracts.route import TOTAL_WEIGHT

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"
LONGEST = 60
"""Columns for time; where there are more windows, several share one."""
USUAL = log(100)
"""What a line is drawn against where nothing says what is enough."""


def draw(attempt: Attempt) -> Text:
    """Several lines, each with its name, its blocks and where it ended."""
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
            out.append(f"  {line.told()}\n", style=style)
    weights = _row(spans, lambda span: max(whole[at].weight for at in span) / TOTAL_WEIGHT)
    out.append(f"{'weight':<{margin}}", style="bold").append(weights).append(f"  {percent(whole[-1].weight)}\n")
    first, last = moment(attempt.start), moment(attempt.end)
    out.append(" " * margin).append(f"{first}  to  {last}, attempt {attempt.number}; {GAP} could not be counted\n")
    return out


def _blocks(line: Line, spans: Sequence[range], gaps: Sequence[bool], *, harm: bool) -> Text:
    enough = line.enough or USUAL
    row, out = _row(spans, lambda span: max(line.log_e[at] for at in span) / enough), Text()
    for block, gap in zip(row, gaps, strict=True):
        full = "red" if harm else "green"
        out.append(GAP if gap else block, style="dim" if gap else full if block == BLOCKS[-1] else "")
    return out


def _row(spans: Sequence[range], part: Callable[[range], float]) -> str:
    """The last block is for what is all of it, and for nothing less."""
    last = len(BLOCKS) - 1
    return "".join(BLOCKS[last if part(span) >= 1 else int(max(0.0, part(span)) * last)] for span in spans)


def _spans(n: int) -> list[range]:
    columns = min(n, LONGEST)
    return [range(at * n // columns, (at + 1) * n // columns) for at in range(columns)]
