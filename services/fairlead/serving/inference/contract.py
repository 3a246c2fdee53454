"""`Contract`: decodes request bytes into validated rows, checks the model's answers and encodes them.

The model's two pydantic types are the only definition of the schema. Validation, the docs page and the Open Inference
Protocol's metadata are derived from them through this class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from fairlead import errors
from fairlead.serving import interpreter
from fairlead.serving.formats.answer_writer import AnswerWriter
from fairlead.serving.inference import duplicates, memory, tensors
from fairlead.serving.inference.answer_limit import SLICE_ROWS, AnswerLimit, slices, too_large
from fairlead.serving.inference.bounds import Bounds, Limits
from fairlead.serving.inference.file_rows import FileRows
from fairlead.serving.inference.positional import PositionalRows
from fairlead.serving.inference.reading import Reader

T = TypeVar("T")
MAX_DETAILS = 100


class Contract:
    """What one model accepts and returns. Immutable; shared by all protocols.

    `row_type` must be strict already (`formats.strict`). `max_rows` is the maximum number of rows in one request.
    """

    def __init__(
        self, row_type: type[BaseModel], answer_type: type[BaseModel], max_rows: int, limits: Limits | None = None
    ) -> None:
        self.row_type = row_type
        self.answer_type = answer_type
        self.max_rows = max_rows
        self.limits = limits or Limits()
        rows = Annotated[list[row_type], Field(min_length=1, max_length=max_rows)]  # type: ignore[valid-type]
        self.instances_type = create_model(
            "Instances",
            __config__=ConfigDict(extra="forbid"),
            __doc__="Rows, in KServe's V1 form.",
            instances=(rows, ...),
            signature_name=(str | None, Field(default=None, description="Not used: clients of TensorFlow send it.")),
        )
        self.predictions_type = create_model(
            "Predictions",
            __doc__="Answers, in KServe's V1 form.",
            predictions=(list[answer_type], ...),  # type: ignore[valid-type]
        )
        self.fields = tensors.of(self.row_type, "validation", whole="row")
        """The fields of a row, as tensors; or one tensor of rows, if a row has no fixed fields."""
        self.positional = PositionalRows([field for field in self.fields if not field.whole])
        self._keys = duplicates.KeyCount(
            self.row_type,
            [field.name for field in self.fields],
            is_flat=bool(self.fields) and not any(field.json for field in self.fields),
        )
        one: TypeAdapter[BaseModel] = TypeAdapter(self.row_type)
        self.bounds = Bounds(one.core_schema, self.limits)
        self.memory = memory.of_rows(self.row_type, one.core_schema)
        self._one = Reader(one, self.bounds)
        self._many: Reader[list[BaseModel]] = Reader(TypeAdapter(rows), self.bounds)
        self._files = FileRows.of(self.row_type)
        self._instances: Reader[Any] = Reader(TypeAdapter(self.instances_type), self.bounds)
        # Used for every request: the functions that the adapters' methods call, without their handling of options.
        self._read_one = self._one.read
        self._check_body, self._harmless = self.bounds.check_row, self.bounds.harmless
        self._check_row, self._row_keys = self._keys.check_row, self._keys.of_a_row
        writer = AnswerWriter(answer_type)
        self._write_one, self._write_many = writer.one, writer.many
        self.documents, self.check_finite = writer.documents, writer.check_finite
        self._check_shape = writer.check_shape

    def decode_one(self, body: bytes) -> list[BaseModel]:
        """Decode one row from a JSON object. Raises Invalid."""
        is_small = len(body) <= self._harmless
        if not is_small:
            self._check_body(body)
        try:
            row = self._read_one(body)
        except ValidationError as problem:
            raise invalid(self._one.complete(body, problem)) from None
        if (body.count(b":") if is_small else interpreter.count(body, b":")) != self._row_keys:
            self._check_row(body, row)
        return [row]

    def decode_many(self, body: bytes) -> list[BaseModel]:
        """Decode rows from a JSON list of objects, or of lists of numbers. Raises Invalid."""
        if self.bounds.check_rows(body):
            if (rows := self._known(self._many, body)) is not None:
                return rows
            self.bounds.check_each_row(body)
        try:
            rows = self._many.read(body)
        except ValidationError as problem:
            found: list[BaseModel] = self._positional(self._many, body, problem)
            return found
        self._keys.check_rows(body, rows)
        return rows

    def decode_instances(self, body: bytes) -> list[BaseModel]:
        """Decode rows from `{"instances": [...]}`, objects or lists of numbers. Raises Invalid."""
        if self.bounds.check_rows(body):
            if (request := self._known(self._instances, body)) is not None:
                known: list[BaseModel] = request.instances
                return known
            self.bounds.check_each_row(body)
        try:
            request = self._instances.read(body)
        except ValidationError as problem:
            found: list[BaseModel] = self._positional(self._instances, body, problem).instances
            return found
        rows: list[BaseModel] = request.instances
        self._keys.check_rows(body, rows, len(request.__pydantic_fields_set__))
        return rows

    def decode_objects(self, rows: Sequence[Any]) -> list[BaseModel]:
        """Decode rows that another protocol has made JSON values of. Raises Invalid, with the row's index in `loc`."""
        if self._files is not None and (files := self._files.rows(rows)) is not None:
            return files
        # Reading holds the interpreter, so many rows are not read in one call.
        parts = [pydantic_core.to_json(part, inf_nan_mode="constants", bytes_mode="base64") for part in slices(rows)]
        # An element of a tensor can be a text with JSON in it, whose keys nobody has counted.
        if not self._keys.is_countable:
            whole = parts[0] if len(parts) == 1 else b"[%b]" % b",".join([part[1:-1] for part in parts])
            if self.bounds.check_rows(whole):
                self.bounds.check_each_row(whole)
        found: list[BaseModel] = []
        for part in parts:
            try:
                found += self._many.read(part)
            except ValidationError as problem:
                raise moved(invalid(self._many.complete(part, problem)), ("body",), len(found)) from None
        return found

    def _known(self, reader: Reader[T], body: bytes) -> T | None:
        """What a large body says, if it has only known keys and none twice: then its rows need not be looked at."""
        if not self._keys.is_countable:
            return None
        try:
            found: Any = reader.read_known(body)
        except ValidationError:
            return None
        rows, others = (found, 0) if isinstance(found, list) else (found.instances, len(found.__pydantic_fields_set__))
        return found if self._keys.are_all(body, rows, others) else None

    def _positional(self, reader: Reader[Any], body: bytes, problem: ValidationError) -> Any:
        """Decode a body whose rows are lists of numbers. Raises Invalid, for `problem` if there is no such row."""
        try:
            document = pydantic_core.from_json(body)
        except ValueError:  # not JSON, which `problem` says with the place
            raise invalid(problem) from None
        if isinstance(document, list):
            changed: Any = self._as_objects(document, ("body",))
        elif isinstance(document, dict) and isinstance(document.get("instances"), list):
            changed = {**document, "instances": self._as_objects(document["instances"], ("body", "instances"))}
        else:
            raise invalid(reader.complete(body, problem))
        if changed == document:
            raise invalid(reader.complete(body, problem))
        if body.count(b":") != _keys(document):
            duplicates.check(body)
        objects = pydantic_core.to_json(changed, inf_nan_mode="constants")
        try:
            return reader.read(objects)
        except ValidationError as second:
            raise invalid(reader.complete(objects, second)) from None

    def _as_objects(self, rows: list[Any], place: tuple[str | int, ...]) -> list[Any]:
        if len(rows) > self.max_rows:
            raise too_many_rows(place, self.max_rows, len(rows))
        return self.positional.as_objects(rows, place)

    def encode_one(self, answers: Sequence[BaseModel]) -> bytes:
        """Encode the first and only answer as a JSON object. Raises ModelFailed, or Invalid if it is too large."""
        payload = self._write_one(answers)
        if len(payload) > self.limits.answer_bytes:
            raise too_large(self.limits.answer_bytes)
        return payload

    def encode_many(self, answers: Sequence[BaseModel]) -> bytes:
        """Encode the answers as a JSON list. Raises ModelFailed, or Invalid if they are too large."""
        limit = AnswerLimit(self.limits.answer_bytes)
        if len(answers) <= SLICE_ROWS:
            return limit.counted(self._write_many(answers))
        return b"[%b]" % b",".join([limit.counted(self._write_many(part)[1:-1]) for part in slices(answers)])

    def encode_predictions(self, answers: list[BaseModel]) -> bytes:
        """Encode the answers as `{"predictions": [...]}`. Raises ModelFailed, or Invalid if they are too large."""
        return b'{"predictions":' + self.encode_many(answers) + b"}"

    def check(self, answers: object, rows: int) -> list[BaseModel]:
        """The model's answers as a list. Raises ModelFailed unless there is one per row, each of the answer type."""
        if not isinstance(answers, list | tuple):
            raise errors.ModelFailed(f"the model returned a {type(answers).__name__}, not a list")
        if len(answers) != rows:
            raise errors.ModelFailed(f"the model returned {len(answers)} answers for {rows} rows")
        for kind in set(map(type, answers)):
            if not issubclass(kind, self.answer_type):
                raise errors.ModelFailed(f"the model returned a {kind.__name__}, not a {self.answer_type.__name__}")
        self._check_shape(answers)
        return answers if isinstance(answers, list) else list(answers)


def _keys(document: Any) -> int:
    """The number of keys of a body whose rows are lists, or objects without objects inside."""
    rows, others = (document, 0) if isinstance(document, list) else (document["instances"], len(document))
    return others + sum(len(row) for row in rows if isinstance(row, dict))


def too_many_rows(place: tuple[str | int, ...], limit: int, count: int) -> errors.Invalid:
    """The error of a list of `count` rows, more than the limit."""
    return errors.Invalid.at(place, f"List should have at most {limit} items, not {count}", "too_long")


def moved(problem: errors.Invalid, place: tuple[str, ...], first: int) -> errors.Invalid:
    """The error of a list of rows, for rows that are in `place` of the body, from row `first` on."""
    details = []
    for detail in problem.details:
        match detail.loc:
            case ("body", int(row), *rest):
                loc: tuple[str | int, ...] = (*place, first + row, *rest)
            case loc:
                pass
        details.append(errors.Detail(loc, detail.msg, detail.type))
    before, after = (".".join(map(str, one[0].loc)) for one in (problem.details, details))
    return errors.Invalid(f"{after}{problem.message.removeprefix(before)}", details=details)


def invalid(problem: ValidationError, prefix: tuple[str | int, ...] = ("body",)) -> errors.Invalid:
    """Convert a pydantic error to Invalid. Keeps `loc`, `msg` and `type`, but never the input that the client sent."""
    listed = problem.errors(include_url=False, include_context=False, include_input=False)
    details = tuple(
        errors.Detail(loc=prefix + entry["loc"], msg=entry["msg"], type=entry["type"]) for entry in listed[:MAX_DETAILS]
    )
    count = len(listed)
    first = ".".join(str(part) for part in details[0].loc)
    more = f" (and {count - 1} more)" if count > 1 else ""
    return errors.Invalid(f"{first}: {details[0].msg}{more}", details=details)
