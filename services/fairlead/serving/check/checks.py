"""The checks of a model folder, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError

from fairlead import errors
from fairlead.contracts import manifest_file, requirements
from fairlead.contracts.formats import KINDS, runs_code
from fairlead.contracts.manifest import Manifest
from fairlead.model import Model
from fairlead.serving.check.findings import NOT_PROVED, Finding, Outcome, skipped
from fairlead.serving.check.made_up import answered_rows
from fairlead.serving.check.own_process import ENDED_HINT
from fairlead.serving.check.protocols import Row, compare_protocols
from fairlead.serving.formats import artifact, folder, golden_answers, version_skew
from fairlead.serving.formats.answer_writer import AnswerWriter
from fairlead.serving.formats.author_code import described
from fairlead.serving.formats.made_up_rows import MADE_UP, MadeUp
from fairlead.serving.inference import batching, contract, model_calls, warmup
from fairlead.serving.inference.process import interpreter_lock


def check_folder(path: Path) -> tuple[Finding, ...]:
    """Run every check, in order. A check that needs a failed one is skipped, and its message names the failed one."""
    return tuple(findings(path))


def findings(path: Path, made_up: MadeUp = MADE_UP) -> Iterator[Finding]:
    """The finding of each check, as soon as it is there. `made_up` says how made-up rows are asked."""
    subject = Subject(path, made_up)
    found: dict[str, Finding] = {}
    for name, needs, check in CHECKS:
        missing = [need for need in needs if found[need].outcome in ("failed", "skipped")]
        found[name] = skipped(name, missing) if missing else _run(name, check, subject)
        yield found[name]


class Subject:
    """The folder being checked. The checks share what has been read from it."""

    def __init__(self, path: Path, made_up: MadeUp) -> None:
        self.path = path
        self.made_up = made_up

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest. Raises NotFound or Invalid."""
        return manifest_file.read(self.path)

    @cached_property
    def loaded(self) -> folder.ModelFolder:
        """The folder, read as the service reads it."""
        return folder.load_folder(self.path)

    @cached_property
    def model(self) -> Model[Any, Any]:
        """The loaded model."""
        return self.loaded.start(self.made_up)

    @cached_property
    def terms(self) -> contract.Contract:
        """The contract that requests and answers are validated against."""
        return contract.Contract(self.loaded.row_type, self.loaded.answer_type, self.manifest.batching.max_rows)

    @cached_property
    def compute(self) -> batching.Compute:
        """The function that answers a batch, as the service calls it."""
        return model_calls.compute(self.model, self.terms)


DATA = ", which is data: nothing of it runs"
GOLDEN_ROWS = 8
"""How many golden rows are asked in every protocol; all of them are asked once."""
REFUSED_HINT = (
    "A user who sends such a row gets an error that counts against the version. Let the row type, or the inputs of the "
    "manifest, refuse what the model cannot answer: then it is 422."
)
GOLDEN_HINT = "Write golden rows (`golden_inputs` of write_folder): rows of your data, with the model's answers."


@dataclass(frozen=True, slots=True)
class _Result:
    message: str
    hint: str = ""
    outcome: Outcome = "passed"


def _manifest(subject: Subject) -> _Result:
    manifest = subject.manifest
    data = ""
    if not manifest.entry and not runs_code(manifest.format):
        data = f", which is data, and {', '.join(manifest.trusted)}" if manifest.trusted else DATA
    return _Result(f"{manifest.name} {manifest.version}, format {manifest.format}{data}")


def _digest(subject: Subject) -> _Result:
    stated = subject.manifest.artifact
    if stated is None:
        return _Result("the manifest names no artifact: the model is code only")
    with artifact.checked(subject.path, stated):
        return _Result(f"{stated.path} has the sha256 {stated.sha256[:12]}...")


def _libraries(subject: Subject) -> _Result:
    found = _built_with(subject)
    if not (missing := requirements.unmet(subject.path)):
        return found
    wrong = [found] if found.outcome != "passed" else []
    message = "; ".join([*missing, *(result.message for result in wrong)])
    hint = "\n".join([requirements.install_command(subject.path), *(result.hint for result in wrong)])
    return _Result(message, hint, "warned")


def _built_with(subject: Subject) -> _Result:
    built_with = subject.manifest.built_with
    holds_objects = KINDS[subject.manifest.format].names_types or runs_code(subject.manifest.format)
    if not built_with and not subject.manifest.entry and not holds_objects:
        return _Result(f"format {subject.manifest.format} holds no objects of a library, so it needs no version of one")
    if not built_with:
        hint = "Name the libraries that the artifact depends on, with their versions, in `built_with`."
        return _Result("the manifest does not say what the artifact was built with", hint, "warned")
    if problems := version_skew.skewed(built_with, version_skew.installed):
        version_skew.check(subject.manifest)
        return _Result("; ".join(problems.values()), "`version_skew: warn` lets it pass.", "warned")
    return _Result(", ".join(f"{library} {version}" for library, version in built_with.items()))


def _entry(subject: Subject) -> _Result:
    made = subject.manifest.entry or "inputs and outputs of the manifest"
    renamed = [f"{one.name} is the column {one.column!r}" for one in subject.loaded.manifest.inputs if one.column]
    types = f"{made}: {subject.loaded.row_type.__name__} -> {subject.loaded.answer_type.__name__}"
    return _Result("; ".join([types, *renamed]))


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
        by_class = subject.manifest.entry is not None
        where = f"{row.__name__} does" if by_class else "fairlead.yaml: inputs do"
        how = 'Field(description="cm")' if by_class else "description: cm"
        hint = f"Say what each field is and its unit: {how}."
        return _Result(f"{where} not describe {', '.join(undescribed)}", hint, "warned")
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
        return _unproved("that the model answers as trained: there are no golden rows", GOLDEN_HINT)
    for number, row in enumerate(rows if AnswerWriter(subject.terms.answer_type).reads_back else (), 1):
        try:
            subject.terms.answer_type.model_validate(row.expected)
        except ValidationError as cause:
            raise errors.Invalid(f"golden row {number}: expected: {contract.invalid(cause, ()).message}") from cause
    warmup.warm_up(subject.compute, subject.terms, rows, **subject.manifest.tolerance._asdict(), max_rows=1)
    return _Result(f"{len(rows)} rows answered as expected, floats within rtol {subject.manifest.rtol:g}")


def _batching(subject: Subject) -> _Result:
    found = warmup.warm_up(
        subject.compute,
        subject.terms,
        subject.loaded.golden,
        **subject.manifest.tolerance._asdict(),
        max_rows=subject.manifest.batching.max_rows,
        idempotent=subject.manifest.idempotent,
        made_up=subject.made_up,
    )
    if found.reason == "unchecked":
        return _unproved(f"that a row gets the same answer in a batch: {found.detail}", GOLDEN_HINT)
    if found.reason in ("manifest", "invariant"):
        return _Result(found.detail)
    hint = "The service will call the model with one row at a time. If you want that, set `batching: {max_rows: 1}`."
    raise errors.Invalid(
        found.detail, hint=golden_answers.differs_hint(subject.manifest) if found.reason == "not_invariant" else hint
    )


def _protocols(subject: Subject) -> _Result:
    golden = [Row(f"golden row {number}", row.input) for number, row in enumerate(subject.loaded.golden, 1)]
    # Made-up rows may change what the model keeps.
    skipped = subject.made_up.skipped if subject.manifest.idempotent else "the manifest says `idempotent: false`"
    ask = subject.made_up.asking
    made, refusals = ([], []) if skipped else answered_rows(subject.compute, subject.terms, ask)
    if not golden and not made:
        why = skipped or next(iter(refusals[::-1]), "no row could be made up from the row type")
        return _unproved(f"that the model answers: {why}", GOLDEN_HINT)
    del subject.model, subject.compute  # the service loads the model again: memory may not be enough for two
    names = compare_protocols(subject.loaded, golden[:GOLDEN_ROWS] + made, subject.made_up.skipped)
    agree = f"{_count(golden[:GOLDEN_ROWS], made)} rows agree in {', '.join(names)}"
    if not refusals:
        return _Result(agree)
    others = f"{len(refusals)} made-up rows" if len(refusals) > 1 else "a made-up row"
    return _Result(f"{agree}; {others} got no answer: {refusals[0]}", REFUSED_HINT, "warned")


def _count(golden: list[Row], made: list[Row]) -> str:
    return " and ".join(f"{len(rows)} {kind}" for rows, kind in ((golden, "golden"), (made, "made-up")) if rows)


def _unproved(what: str, hint: str) -> _Result:
    return _Result(f"{NOT_PROVED}{what}", hint, "warned")


def _isolation(subject: Subject) -> _Result:
    if subject.manifest.isolation == "process":
        return _Result("the model runs in a process of its own")
    if not subject.loaded.golden:
        return _Result("not measured: there are no golden rows")
    rows = [row.parsed(subject.loaded.row_type) for row in subject.loaded.golden]
    size = min(subject.manifest.batching.max_rows, 64)
    held = interpreter_lock.held_s(lambda: subject.compute((rows * size)[:size]))
    if held <= interpreter_lock.LONG_S:
        return _Result(f"predict kept other threads from running for at most {held:.2f} s, with {size} rows")
    hint = "Probes get no answer meanwhile. Set `isolation: process` to run the model in a process of its own."
    return _Result(f"predict keeps all other threads from running for {held:.2f} s, with {size} rows", hint, "warned")


def _profile(subject: Subject) -> _Result:
    found = subject.loaded.profile
    if found is None:
        return _Result(
            "no profile: drift is not measured",
            f"Build one from held-out rows, `fairlead profile build {subject.path} --data FILE`, or from recorded "
            f"requests: --from RECORDING (docs/recording.md).",
        )
    return _Result(found.described)


def _docs_page(subject: Subject) -> _Result:
    stated = subject.manifest.model_dump()
    if missing := [name for name in ("title", "description", "contact", "license") if not stated[name]]:
        return _Result(f"the manifest gives no {', '.join(missing)}", "They are shown on the docs page.", "warned")
    return _Result("title, description, contact and license are given")


CHECKS: tuple[tuple[str, tuple[str, ...], Callable[[Subject], _Result]], ...] = (
    ("manifest", (), _manifest),  # fairlead.yaml exists, and every field is valid
    ("digest", ("manifest",), _digest),  # the artifact has the digest that the manifest states
    ("libraries", ("manifest",), _libraries),  # the libraries that wrote the artifact and that it asks for
    ("entry", ("manifest",), _entry),  # the class exists and has a row type and an answer type
    ("schema", ("entry",), _schema),  # both types have a JSON schema, and the manifest agrees with them
    ("load", ("digest", "libraries", "entry"), _load),  # the model loads
    ("golden rows", ("load",), _golden),  # it gives the expected answers, row by row
    ("batching", ("golden rows",), _batching),  # it gives the same answers in a batch
    ("isolation", ("batching",), _isolation),  # it does not keep the service from answering its probes
    ("protocols", ("batching",), _protocols),  # it answers the same in every protocol, also made-up rows
    ("profile", ("entry",), _profile),  # what drift is measured against; reading the folder has checked that it fits
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
