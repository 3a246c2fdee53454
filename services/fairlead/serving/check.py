"""`fairlead check`: checks a model folder for everything that the service needs, before it is shipped.

The checks call the same functions as the service does at startup, so a folder that passes can be served. The checks
run the model's own code, as the service does.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.model import Model
from fairlead.serving.formats import artifact, folder, version_skew
from fairlead.serving.formats.author_code import described
from fairlead.serving.inference import batching, contract, model_calls, warmup

ENDED_HINT = "The service stops with it. Let the model's code raise an exception instead; look at what it printed."
Outcome = Literal["passed", "warned", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `message` is the reason, `hint` says what to do about it."""

    check: str
    outcome: Outcome
    message: str
    hint: str = ""


def check_folder(path: Path) -> tuple[Finding, ...]:
    """Run every check, in order. A check that needs a failed one is skipped, and its message names the failed one."""
    return tuple(_findings(path))


def _findings(path: Path) -> Iterator[Finding]:
    subject = Subject(path)
    findings: dict[str, Finding] = {}
    for name, needs, check in CHECKS:
        missing = [need for need in needs if findings[need].outcome in ("failed", "skipped")]
        findings[name] = _skipped(name, missing) if missing else _run(name, check, subject)
        yield findings[name]


def check_in_own_process(path: Path) -> tuple[Finding, ...]:
    """As `check_folder`, in a process of its own: the model's code may end it, and what it prints goes to stderr."""
    command = [sys.executable, "-P", "-m", "fairlead.serving.check", str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
    findings = [Finding(**json.loads(line)) for line in ended.stdout.splitlines()]
    missing = [name for name, _, _ in CHECKS[len(findings) :]]
    if missing:
        how = f"with signal {-ended.returncode}" if ended.returncode < 0 else f"with code {ended.returncode}"
        findings.append(Finding(missing[0], "failed", f"the model's process ended {how} during this check", ENDED_HINT))
        findings.extend(_skipped(name, missing[:1]) for name in missing[1:])
    return tuple(findings)


def main() -> None:
    """The process of `check_in_own_process`: prints each finding as a line of JSON as soon as it is there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is for the parent to report
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # the model's own output, also that of its libraries, must not mix with the findings
        for finding in _findings(Path(sys.argv[1])):
            print(json.dumps(dataclasses.asdict(finding)), file=out, flush=True)


def is_fit(findings: Sequence[Finding]) -> bool:
    """Whether the folder can be served: no check failed. Warnings do not count."""
    return all(finding.outcome != "failed" for finding in findings)


class Subject:
    """The folder being checked. The checks share what has been read from it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest. Raises NotFound or Invalid."""
        return folder.read_manifest(self.path)

    @cached_property
    def loaded(self) -> folder.ModelFolder:
        """The folder, read as the service reads it."""
        return folder.load_folder(self.path)

    @cached_property
    def model(self) -> Model[Any, Any]:
        """The loaded model."""
        return self.loaded.start()

    @cached_property
    def terms(self) -> contract.Contract:
        """The contract that requests and answers are validated against."""
        return contract.Contract(self.loaded.row_type, self.loaded.answer_type, self.manifest.batching.max_rows)

    @cached_property
    def compute(self) -> batching.Compute:
        """The function that answers a batch, as the service calls it."""
        return model_calls.compute(self.model, self.terms)


@dataclass(frozen=True, slots=True)
class _Result:
    message: str
    hint: str = ""
    outcome: Outcome = "passed"


def _manifest(subject: Subject) -> _Result:
    return _Result(f"{subject.manifest.name} {subject.manifest.version}, format {subject.manifest.format}")


def _digest(subject: Subject) -> _Result:
    stated = subject.manifest.artifact
    if stated is None:
        return _Result("the manifest names no artifact: the model is code only")
    with artifact.checked(subject.path, stated):
        return _Result(f"{stated.path} has the sha256 {stated.sha256[:12]}...")


def _libraries(subject: Subject) -> _Result:
    built_with = subject.manifest.built_with
    if not built_with:
        hint = "Name the libraries that the artifact depends on, with their versions, in `built_with`."
        return _Result("the manifest does not say what the artifact was built with", hint, "warned")
    if problems := version_skew.skewed(built_with, version_skew.installed):
        version_skew.check(subject.manifest)
        return _Result("; ".join(problems.values()), "`version_skew: warn` lets it pass.", "warned")
    return _Result(", ".join(f"{library} {version}" for library, version in built_with.items()))


def _entry(subject: Subject) -> _Result:
    made = subject.manifest.entry or "inputs and outputs of the manifest"
    return _Result(f"{made}: {subject.loaded.row_type.__name__} -> {subject.loaded.answer_type.__name__}")


def _schema(subject: Subject) -> _Result:
    row, answer = subject.loaded.row_type, subject.loaded.answer_type
    for kind in (row, answer):
        try:
            kind.model_json_schema()
        except PydanticUserError as cause:
            raise errors.Invalid(
                f"{kind.__name__} has no JSON schema: {cause}", hint="Use types that JSON has."
            ) from cause
    _agree("inputs", [tensor.name for tensor in subject.manifest.inputs], row)
    _agree("outputs", [tensor.name for tensor in subject.manifest.outputs], answer)
    if undescribed := [name for name, field in row.model_fields.items() if not field.description]:
        hint = 'Say what each field is and its unit: Field(description="cm").'
        return _Result(f"{row.__name__} does not describe {', '.join(undescribed)}", hint, "warned")
    return _Result(f"{len(row.model_fields)} fields in, {len(answer.model_fields)} out, each described")


def _agree(part: str, declared: list[str], kind: type[BaseModel]) -> None:
    if declared and declared != list(kind.model_fields):
        raise errors.Invalid(
            f"fairlead.yaml: {part} are {', '.join(declared)}, but {kind.__name__} has {', '.join(kind.model_fields)}",
            hint=f"With an `entry` the class is the schema: leave `{part}` out of the manifest.",
        )


def _load(subject: Subject) -> _Result:
    begin = time.perf_counter()
    model = subject.model
    model_calls.compute(model, subject.terms)  # raises ModelFailed if predict_columns does not fit the row type
    return _Result(f"{type(model).__name__} loaded in {time.perf_counter() - begin:.2f} s")


def _golden(subject: Subject) -> _Result:
    rows = subject.loaded.golden
    if not rows:
        hint = "Write golden rows: the warm-up, the batching check and the docs page use them."
        return _Result("there are no golden rows, so nothing shows that the model answers as trained", hint, "warned")
    for number, row in enumerate(rows, 1):
        try:
            subject.terms.answer_type.model_validate(row.expected)
        except ValidationError as cause:
            raise errors.Invalid(f"golden row {number}: expected: {contract.invalid(cause, ()).message}") from cause
    warmup.warm_up(subject.compute, subject.terms, rows, rtol=subject.manifest.rtol, max_rows=1)
    return _Result(f"{len(rows)} rows answered as expected, floats within rtol {subject.manifest.rtol:g}")


def _batching(subject: Subject) -> _Result:
    found = warmup.warm_up(
        subject.compute,
        subject.terms,
        subject.loaded.golden,
        rtol=subject.manifest.rtol,
        max_rows=subject.manifest.batching.max_rows,
        idempotent=subject.manifest.idempotent,
    )
    if found.reason in ("manifest", "unchecked", "invariant"):
        hint = "Write golden rows. Without them the service calls the model with one row at a time."
        return _Result(found.detail, hint, "warned") if found.reason == "unchecked" else _Result(found.detail)
    hint = "The service will call the model with one row at a time. If you want that, set `batching: {max_rows: 1}`."
    raise errors.Invalid(found.detail, hint=hint)


def _docs_page(subject: Subject) -> _Result:
    stated = subject.manifest.model_dump()
    if missing := [name for name in ("title", "description", "contact", "license") if not stated[name]]:
        return _Result(f"the manifest gives no {', '.join(missing)}", "They are shown on the docs page.", "warned")
    return _Result("title, description, contact and license are given")


CHECKS: tuple[tuple[str, tuple[str, ...], Callable[[Subject], _Result]], ...] = (
    ("manifest", (), _manifest),  # fairlead.yaml exists, and every field is valid
    ("digest", ("manifest",), _digest),  # the artifact has the digest that the manifest states
    ("libraries", ("manifest",), _libraries),  # the installed libraries have the versions that wrote the artifact
    ("entry", ("manifest",), _entry),  # the class exists and has a row type and an answer type
    ("schema", ("entry",), _schema),  # both types have a JSON schema, and the manifest agrees with them
    ("load", ("digest", "libraries", "entry"), _load),  # the model loads
    ("golden rows", ("load",), _golden),  # it gives the expected answers, row by row
    ("batching", ("golden rows",), _batching),  # it gives the same answers in a batch
    ("docs page", ("manifest",), _docs_page),  # the manifest has the texts that the docs page shows
)


def _run(name: str, check: Callable[[Subject], _Result], subject: Subject) -> Finding:
    try:
        result = check(subject)
    except errors.FairleadError as error:
        return Finding(name, "failed", _full_message(error), error.hint or "")
    except OSError as error:
        return Finding(name, "failed", str(error), "Make the file readable for this user.")
    except SystemExit as error:  # the types' own code runs in the checks too
        return Finding(name, "failed", described(error), ENDED_HINT)
    return Finding(name, result.outcome, result.message, result.hint)


def _full_message(error: errors.FairleadError) -> str:
    """The error's message, which names the first wrong field, and one line for each further wrong field."""
    further = error.details[1:] if isinstance(error, errors.Invalid) else ()
    return "\n".join([error.message, *(f"{'.'.join(map(str, detail.loc))}: {detail.msg}" for detail in further)])


def _skipped(name: str, missing: list[str]) -> Finding:
    return Finding(name, "skipped", f"needs: {', '.join(missing)}")


if __name__ == "__main__":
    main()
