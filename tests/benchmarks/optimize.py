"""Ten wrong optimisations, of real files, must be refused with a row or number that shows it; a right one passes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairlead.optimization import run
from fairlead.optimization.verdict import Bounds, Result
from support import environments, proof

TITLE = "fairlead optimize: ten wrong optimisations and a right one"
REDUCED = frozenset({"renamed inputs", "dropped rows", "slower int8", "right"})
"""The cases of the reduced size: one for each kind of reason."""
TOLERANCE = 0.05
SECONDS: Mapping[proof.Size, float] = {"full": 20.0, "reduced": 4.0}
SHOWS = re.compile(r"\brow \d+|\brow\.|\banswer\.|times \(")
"""What a refusal must name: a row, a field, or a ratio of times."""


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Write each version, and judge it by its original: both are served."""
    environments.add(environments.packages("formats"))
    from support.optimization.candidates import CASES, Models  # noqa: PLC0415 - it needs these packages

    found = proof.Findings()
    models = Models(folder)
    documents: list[dict[str, Any]] = []
    for number, case in enumerate(CASES):
        if size == "reduced" and case.name not in REDUCED:
            continue
        place = folder / f"new-{number}"
        case.make(models, place)
        original, rows = _original(models, case.original)
        result = judged(original, place, rows, SECONDS[size])
        reason = result.reasons[0] if result.reasons else None
        if case.rules:
            holds = reason is not None and reason.rule in case.rules and bool(SHOWS.search(reason.message))
            said = "accepted" if reason is None else f"{reason.rule}: {reason.message[:160]}"
            found.claim(case.name, f"refused: {' or '.join(sorted(case.rules))}", said, holds)
        else:
            said = "accepted" if reason is None else f"{reason.rule}: {reason.message[:160]}"
            found.claim(case.name, "accepted", said, reason is None)
        documents.append({"case": case.name, **_short(result.to_json())})
    found.numbers = {"cases": documents}
    return found


def judged(original: Path, candidate: Path, rows: Sequence[Mapping[str, Any]], seconds: float) -> Result:
    """What the command says of the version."""
    evidence = run.Evidence(rows, (), "rows", "", seconds)
    return run.judge(original, candidate, [], evidence, Bounds(tolerance=TOLERANCE), lambda _: None)


def _original(models: Any, name: str) -> tuple[Path, Sequence[Mapping[str, Any]]]:
    if name == "moments":
        folder, _, rows = models.moments
        return folder, rows
    return (models.wide[0], models.wide_rows) if name == "wide" else (models.digits, models.rows)


def _short(document: dict[str, Any]) -> dict[str, Any]:
    """Without rows of pixels."""
    if document["agreement"]:
        for one in document["agreement"]["differ_most"]:
            one.pop("row"), one.pop("original"), one.pop("candidate")
    return document


if __name__ == "__main__":
    proof.run("optimize", TITLE, prove)
