"""What `fairlead drift` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import RenderableType
from rich.text import Text

from fairlead.cli.output import make_table, text
from fairlead.views.amounts import score
from fairlead.views.drift import Feature, Part, Verdict, VersionDrift


def tables(model: str, versions: Sequence[VersionDrift]) -> Iterator[RenderableType]:
    """Each version: a sentence, the features that drift most first, and which bins moved."""
    for at, version in enumerate(versions):
        if at:
            yield Text()
        role = f" ({version.role})" if version.role else ""
        yield text(f"{model} {version.version}{role}: {version.summary}", "bold")
        yield from map(text, version.notes)
        for part in version.parts:
            if part.slice:
                yield text(f"\nslice {part.slice}: {part.summary}", "bold")
            yield from _part(part)


def _part(part: Part) -> Iterator[RenderableType]:
    measured = [one for one in part.features if one.verdict is not Verdict.FEW]
    if measured:
        yield make_table(("FEATURE", "KIND", "VERDICT", "DISTANCE", "CHANCE UP TO", "ROWS"), map(_row, measured))
    for one in measured:
        yield from (text(f"  {words}") for words in one.words)


def _row(one: Feature) -> tuple[str, ...]:
    distance, chance = ("-" if value is None else score(value) for value in (one.distance, one.chance))
    return one.name, one.kind, one.verdict.value, f"{one.measure} {distance}", chance, f"{one.rows:,}"


def to_json(versions: Sequence[VersionDrift]) -> list[dict[str, object]]:
    """The same as documents, with every bin."""
    return [asdict(one) for one in versions]
