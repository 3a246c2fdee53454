"""Replays a recording: chooses its requests, sends each again, and compares every row's answer with the earlier one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts import recording
from fairlead.contracts.answers import SHADOW_HEADER
from fairlead.contracts.recording import Recorded
from fairlead.optimization import answers
from fairlead.optimization.answers import Asked, Failed
from fairlead.replay.result import Result, latency
from fairlead.replay.targets import Asker, Replied, Target, asker, is_answered

USUAL_TOLERANCE = 1e-5
"""That of a manifest that says nothing, where the target is an address and there is no manifest to read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to replay, and how to compare. `most` requests: evenly spaced ones of more.

    `fill`: fields that the recording hides, and the value to send in their place. `tolerance`: how far numbers may
    differ, of the range that the original's answers have in the same field; None: the manifest's `rtol`.
    """

    source: Path
    model: str | None = None
    most: int = 1000
    fill: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float | None = None
    min_agreement: float = 0.99


def replay(target: Target, against: Target | None, wanted: Wanted, tell: Callable[[float], None]) -> Result:
    """Ask `target` what was recorded. The answers are compared with the recorded ones, or with those of `against`.

    `tell` gets the share that is done. Raises NotFound or Invalid for a recording that has nothing to replay,
    Unavailable for an address where nobody answers, and what serving a folder raises.
    """
    manifest = target.manifest()
    if against is not None:
        against.manifest()  # before anything is served
    found = recording.read(wanted.source)
    model = wanted.model or (manifest.name if manifest else None)
    chosen = _chosen(found.requests, model, wanted)
    model = chosen[0].model
    hidden = {name: how for one in chosen for name, how in one.hidden.items() if name not in wanted.fill}
    if pictures := [name for name, how in hidden.items() if how == "digest"]:
        raise errors.Invalid(
            f"{pictures[0]} is an image, and of images only digests are recorded: there is nothing to send",
            hint=f"Send the same image in each request: --fill {pictures[0]}=@FILE. Else replay another model.",
        )
    with contextlib.ExitStack() as stack:
        candidate = stack.enter_context(asker(target, model))
        original = stack.enter_context(asker(against, model)) if against is not None else None
        asked, times, names = _asked(chosen, wanted.fill, candidate, original, tell)
    tolerance = wanted.tolerance
    if tolerance is None:
        tolerance = manifest.rtol if manifest is not None else USUAL_TOLERANCE
    recorded_by = ", ".join(sorted({one.version for one in chosen}))
    return Result(
        model=model,
        original=names[0] or f"recorded {recorded_by}",
        candidate=names[1] or (manifest.version if manifest else target.place),
        requests=len(chosen),
        hidden=sorted(hidden),
        unreadable=found.unreadable,
        tolerance=tolerance,
        min_agreement=wanted.min_agreement,
        compared=answers.compare(asked, tolerance),
        original_latency=latency(times[0]),
        candidate_latency=latency(times[1]),
    )


def _chosen(requests: Sequence[Recorded], model: str | None, wanted: Wanted) -> list[Recorded]:
    """The requests to send: of one model, each once, evenly spaced ones of many."""
    names = sorted({one.model for one in requests})
    if model is None and len(names) > 1:
        raise errors.Invalid(
            f"{wanted.source} has requests of several models: {', '.join(names)}",
            hint=f"Name one: --model {names[0]}",
        )
    # A gateway has copied a mirrored request: it is there as the original too, or was not drawn.
    mine = _once(one for one in requests if one.model == (model or names[0]) and not one.mirrored) if names else []
    if not mine:
        has = f"; it has those of {', '.join(names)}" if names else ""
        raise errors.NotFound(
            f"{wanted.source} has no request of {model or 'any model'}{has}",
            hint="Record first: FAIRLEAD_SERVING_RECORD_SHARE=0.1 fairlead up; or name another --from.",
        )
    if len(mine) <= wanted.most:
        return mine
    return [mine[place * len(mine) // wanted.most] for place in range(wanted.most)]


def _once(requests: Iterable[Recorded]) -> list[Recorded]:
    """Each request once: pods may share a recording, and a request that one version failed on was sent to another."""
    once: dict[str, Recorded] = {}
    for one in requests:
        if one.id not in once or (once[one.id].answers is None and one.answers is not None):
            once[one.id] = one
    return sorted(once.values(), key=lambda one: one.time)


def _asked(
    chosen: Sequence[Recorded],
    fill: Mapping[str, Any],
    candidate: Asker,
    original: Asker | None,
    tell: Callable[[float], None],
) -> tuple[list[Asked], tuple[list[float], list[float]], tuple[str, str]]:
    """Every row with both answers, the times of answered requests in seconds, and the versions that answered."""
    asked: list[Asked] = []
    times: tuple[list[float], list[float]] = ([], [])
    versions: tuple[set[str], set[str]] = (set(), set())
    for number, one in enumerate(chosen, 1):
        rows = [_filled(row, fill, one.hidden) for row in one.rows]
        before = _recorded(one) if original is None else _sent(original, one, rows)
        after = _sent(candidate, one, rows)
        for place, replied in enumerate((before, after)):
            if is_answered(replied.answer):
                times[place].append(replied.seconds)
            if replied.version and (place or original is not None):
                versions[place].add(replied.version)
        earlier, later = (_each(replied.answer, len(rows), one.hidden) for replied in (before, after))
        for index, (row, was, now) in enumerate(zip(rows, earlier, later, strict=True)):
            name = f"{one.id} row {index + 1}" if len(rows) > 1 else one.id
            asked.append(Asked(name, row, was, now, one.revision if original is None else ""))
        tell(number / len(chosen))
    said = [" or ".join(sorted(found)) for found in versions]
    return asked, times, (said[0], said[1])


def _recorded(one: Recorded) -> Replied:
    answer = one.answers if one.answers is not None else Failed(f"{one.status} when it was recorded")
    return Replied(answer, one.version, one.ms / 1000)


def _sent(asker: Asker, one: Recorded, rows: Sequence[Any]) -> Replied:
    body = rows[0] if len(rows) == 1 and not isinstance(rows[0], list) else rows
    # A service with this header suppresses side effects, as for a mirrored request. A gateway removes it.
    replied = asker.ask(json.dumps(body).encode(), {SHADOW_HEADER: one.model})
    is_one = body is not rows and is_answered(replied.answer)
    return replied._replace(answer=[replied.answer]) if is_one else replied


def _each(answer: Any, rows: int, hidden: Mapping[str, str]) -> list[Any]:
    """The answer to each row, without the fields that the recording hides."""
    if not is_answered(answer):
        return [answer] * rows
    if not isinstance(answer, list) or len(answer) != rows:
        return [Failed(f"there is not one answer for each of {rows} rows")] * rows
    return [
        {name: value for name, value in one.items() if name not in hidden} if hidden and isinstance(one, dict) else one
        for one in answer
    ]


def _filled(row: Any, fill: Mapping[str, Any], hidden: Mapping[str, str]) -> Any:
    """The row with other values for what is hidden in it."""
    if not isinstance(row, dict):
        return row
    return row | {name: value for name, value in fill.items() if name in hidden}
