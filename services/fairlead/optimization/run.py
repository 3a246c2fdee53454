"""Makes a new version and judges it: serves both versions, asks them the same rows, and measures both in turn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.calibration.service import Service
from fairlead.contracts import golden, manifest_file
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.schema_changes import type_changes
from fairlead.optimization import answers, asking, labels, verdict, writing
from fairlead.optimization.answers import Asked, Failed
from fairlead.optimization.verdict import Bounds, Reason, Result
from fairlead.serving.check.own_process import check_in_own_process, schemas_in_own_process
from fairlead.serving.check.printed import Printed
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.formats.golden import GoldenRow

MOST_ROWS = 2000
"""Rows of a file that are compared: evenly spaced ones of more."""
IN_A_LIST = 64
"""Rows of one request, to compare a row among others with the row alone."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What to judge by: rows as clients send them beside the golden ones, and what is true of each, if it is known.

    `file` is the name that its rows have in sentences, `column` that of the labels. `seconds` of load in all.
    """

    rows: Sequence[Mapping[str, Any]] = ()
    labels: Sequence[Any] = ()
    file: str = ""
    column: str = ""
    seconds: float = 20.0


def optimize(
    folder: Path, to: Path, steps: writing.Steps, evidence: Evidence, bounds: Bounds, tell: Tell, version: str = ""
) -> Result:
    """Write a new version to `to` if it may stand for that in `folder`, which stays as it is.

    A version that is refused is not written. Raises Conflict if `to` exists, Invalid if there can be no such folder,
    and what `writing.write` raises.
    """
    if to.exists():
        raise errors.Conflict(f"{to} exists", hint="Choose another --to, or remove it.")
    original = load_folder(folder)
    version = version or writing.version_of(original.manifest.version, steps)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(prefix=f".{to.name}-", dir=to.parent)
    except OSError as cause:
        raise errors.Invalid(f"--to {to} cannot be written: {cause}", hint="Choose another folder.") from None
    with beside as scratch:
        draft = Path(scratch, to.name)
        how = steps.described(original.manifest.format)
        tell(f"{original.manifest.name} {version}: {', '.join(how)}")
        writing.write(original, draft, version, steps, evidence.rows[::2] or evidence.rows)
        found = judge(folder, draft, how, evidence, bounds, tell)
        if not found.reasons:
            draft.rename(to)
    return found


def judge(folder: Path, candidate: Path, how: Sequence[str], evidence: Evidence, bounds: Bounds, tell: Tell) -> Result:
    """Whether the version in `candidate` may stand for that in `folder`. What costs time comes last: it stops where a
    reason to refuse is found. Raises what starting a service raises for the original."""
    before, after = manifest_file.read(folder), manifest_file.read(candidate)
    if before.name != after.name or before.version == after.version:
        raise errors.Invalid(
            f"{candidate} is {after.name} {after.version}, and {folder} is {before.name} {before.version}",
            hint="Compare two versions of the same model.",
        )
    found = Result(
        model=before.name,
        original=before.version,
        candidate=after.version,
        how=how,
        original_bytes=size_of(folder, before),
        candidate_bytes=size_of(candidate, after),
        bounds=bounds,
    )
    tell("comparing the types of rows and answers")
    if reasons := [*_types(folder, candidate)]:
        return replace(found, reasons=reasons)
    rows = _rows(folder, before, evidence)
    with Service(folder) as original:
        tell("starting the new version")
        try:
            service = Service(candidate).__enter__()
        except errors.Unavailable as cause:
            hint = f"`fairlead check {candidate}` says more."
            return replace(found, reasons=[Reason("check", cause.message, hint)])
        try:
            found = _asked(found, rows, evidence, original, service, after, tell)
            if not found.reasons and (reasons := _check(candidate, tell)):
                found = replace(found, reasons=reasons)
            if not found.reasons:
                found = _timed(found, [row for _, row in rows], evidence.seconds, original, service, tell)
        finally:
            service.__exit__()
    return found


def size_of(folder: Path, manifest: Manifest) -> int:
    """The bytes of a version's artifact; those of its whole folder if it has none."""
    path = folder / manifest.artifact.path if manifest.artifact else folder
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)


def _types(folder: Path, candidate: Path) -> Iterator[Reason]:
    changes = type_changes(schemas_in_own_process(folder), schemas_in_own_process(candidate))
    breaking = [f"{one.where}: {one.what}" for one in changes if one.is_breaking]
    if breaking:
        hint = f"`fairlead diff {folder} {candidate}` lists every change."
        yield Reason("schema", f"its clients would have to change: {'; '.join(breaking[:5])}", hint)


def _rows(folder: Path, manifest: Manifest, evidence: Evidence) -> list[tuple[str, Mapping[str, Any]]]:
    known: Sequence[GoldenRow] = load_folder(folder).golden
    found: list[tuple[str, Mapping[str, Any]]] = [
        (f"golden row {number}", row.input) for number, row in enumerate(known, 1)
    ]
    found += [(f"row {place + 1} of {evidence.file}", evidence.rows[place]) for place in chosen(len(evidence.rows))]
    if not found:
        raise errors.Invalid(
            f"there is nothing to ask {manifest.name}: its folder has no golden rows",
            hint="Name a file with rows: --data FILE.",
        )
    return found


def chosen(count: int) -> list[int]:
    """The places of the rows that are compared: all, or MOST_ROWS evenly spaced ones."""
    if count <= MOST_ROWS:
        return list(range(count))
    return [place * count // MOST_ROWS for place in range(MOST_ROWS)]


def _asked(
    found: Result,
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    evidence: Evidence,
    original: Service,
    candidate: Service,
    manifest: Manifest,
    tell: Tell,
) -> Result:
    tell(f"asking both {len(rows)} rows")
    asked = asking.answers(rows, original, candidate)
    compared = answers.compare(asked, found.bounds.tolerance)
    of_file = asked[len(rows) - len(chosen(len(evidence.rows))) :]
    known = [evidence.labels[place] for place in chosen(len(evidence.labels))]
    accuracy = labels.accuracy(of_file, known, evidence.column) if known else None
    reasons = verdict.of_answers(compared, found.bounds) or [*_in_lists(asked, candidate, manifest)]
    return replace(found, compared=compared, accuracy=accuracy, reasons=reasons)


def _in_lists(asked: Sequence[Asked], candidate: Service, manifest: Manifest) -> Iterator[Reason]:
    """Whether a row is answered differently beside others."""
    answered = [one for one in asked if not isinstance(one.candidate, Failed)]
    for start in range(0, len(answered), IN_A_LIST):
        part = answered[start : start + IN_A_LIST]
        for one, other in zip(part, asking.listed([(one.name, one.row) for one in part], candidate), strict=True):
            failed = other.why if isinstance(other, Failed) else ""
            if difference := failed or golden.compare(one.candidate, other, *manifest.tolerance):
                message = f"{one.name} {verdict.shortened(one.row)} is answered otherwise beside others: {difference}"
                yield Reason("batch", message, "Scales or statistics must not be computed from the rows of a batch.")
                return


def _check(candidate: Path, tell: Tell) -> list[Reason]:
    tell("checking that the new version can be served")
    failed = [one for one in check_in_own_process(candidate, Printed()) if one.outcome == "failed"]
    return [Reason("check", f"{one.check}: {one.message}", one.hint) for one in failed[:1]]


def _timed(
    found: Result, rows: Sequence[Mapping[str, Any]], seconds: float, original: Service, candidate: Service, tell: Tell
) -> Result:
    def done(share: float) -> None:
        tell(f"measuring both in turn, {share:.0%}")

    assert found.compared is not None
    good = [one.asked.row for one in found.compared.differences if not isinstance(one.asked.candidate, Failed)] or rows
    times = asking.measure(good, original, candidate, seconds, done)
    reasons = verdict.of_costs(times, found.original_bytes, found.candidate_bytes, found.bounds)
    return replace(found, times=times, reasons=reasons)
