"""Shows what `fairlead optimize` has found: how the two versions answer, what they cost, and the rows that differ."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from fairlead.cli.output import console, make_table, text
from fairlead.optimization import verdict
from fairlead.optimization.answers import Compared
from fairlead.optimization.timing import Ratio, Times
from fairlead.optimization.verdict import Result

COLUMNS = ("", "ORIGINAL", "NEW", "")


def show(found: Result) -> None:
    """Print the table, the fields, and the rows that differ most."""
    parts: list[RenderableType] = [make_table(COLUMNS, _rows(found))]
    if found.compared is not None:
        parts += answers_of(found.compared)
    console().print(Group(*parts))


def answers_of(found: Compared) -> list[RenderableType]:
    """The fields of the answers, and the rows that differ most."""
    fields = make_table(("FIELD", "SAME CLASS", "LARGEST", "MEAN", "RANGE"), _fields(found))
    return [Text(), fields, *(text(line) for line in _differing(found))]


def _rows(found: Result) -> Iterator[tuple[str, ...]]:
    yield "version", found.original, found.candidate, ", ".join(found.how)
    share = found.candidate_bytes / found.original_bytes if found.original_bytes else math.inf
    yield "artifact, bytes", f"{found.original_bytes:,}", f"{found.candidate_bytes:,}", f"{share:.3g} times"
    if (one := found.compared) is not None and one.differences:
        more = "" if one.sure >= found.bounds.agreement else "; more rows (--data) would show more"
        said = f"on {len(one.differences)} rows; on others, at least {one.sure:.3g} is sure{more}"
        yield "rows that agree", "", f"{one.agreement:.2%}", said
    if (right := found.accuracy) is not None:
        yield right.measure, f"{right.original:.4g}", f"{right.candidate:.4g}", f"{right.field}, {right.rows} rows"
    if (times := found.times) is not None:
        yield from _times(times)


def _times(times: Times) -> Iterator[tuple[str, ...]]:
    load = f"{times.rate:,.0f} requests/s, {times.pairs} pairs of windows"
    yield "p50", _ms(times.original_p50_s), _ms(times.candidate_p50_s), f"{_said(times.p50)}; {load}"
    yield "p95", _ms(times.original_p95_s), _ms(times.candidate_p95_s), _said(times.p95)


def _said(one: Ratio) -> str:
    return f"{verdict.times_as_text(one)}: {one.said}"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"


def _fields(found: Compared) -> Iterator[tuple[str, ...]]:
    for one in found.fields:
        if one.agreeing is not None:
            yield one.name, f"{one.agreeing:.2%}", "", "", ""
        else:
            yield one.name, "", f"{one.largest:.3g}", f"{one.mean:.3g}", f"{one.spread:.3g}"


def _differing(found: Compared) -> Iterator[str]:
    worst = found.worst(verdict.WORST)
    if not worst:
        yield "no row differs"
        return
    yield "the rows that differ most:"
    for one in worst:
        yield f"  {verdict.told(one)}{' - within the bounds' if one.agrees else ''}"
