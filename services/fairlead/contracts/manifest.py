"""`fairlead.yaml`, the manifest of a model folder (docs/model-folder.md)."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from fairlead.contracts import columns
from fairlead.contracts.columns import ColumnType
from fairlead.contracts.formats import KINDS, NETWORK_ATOL
from fairlead.contracts.golden import Tolerance
from fairlead.contracts.images import Image

# A model's name is a DNS label: it becomes a part of object names, paths and Envoy cluster names. Those are split at
# "~" and may not contain "_" (contracts.gateway).
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
# Like a semantic version, but lower case and without "_", "~" or "+": the same text is used as a path segment, a
# header value, an image tag and a Kubernetes label value.
Version = Annotated[str, StringConstraints(pattern=r"^[0-9a-z]([0-9a-z.-]{0,38}[0-9a-z])?$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


# Paths are relative, so that the folder can be moved.
def _relative(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError("must be a path inside the model folder, with '/' and without '..'")
    return path


RelativePath = Annotated[str, AfterValidator(_relative)]
Format = Literal[
    "sklearn",
    "joblib",
    "pickle",
    "skops",
    "python",
    "onnx",
    "torch-state-dict",
    "torch-export",
    "torchscript",
    "keras",
    "keras-h5",
    "xgboost",
    "lightgbm",
]
Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "BF16",
    "FP32",
    "FP64",
    "BYTES",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Contact(_Strict):
    """Whom to contact about the model; shown on the docs page."""

    name: str
    email: str | None = None
    url: str | None = None


class License(_Strict):
    """The model's license; shown on the docs page."""

    name: str
    url: str | None = None


class Artifact(_Strict):
    """The trained file or folder. `path` is relative to the model folder and must stay inside it."""

    path: RelativePath
    sha256: Sha256


class Batching(_Strict):
    """How rows of several requests share one call of the model. `max_rows: 1` turns batching off."""

    max_rows: int = Field(default=64, ge=1, le=65536)
    max_wait_ms: float = Field(default=0, ge=0, le=1000)
    priorities: int = Field(default=1, ge=1, le=16)
    """How many priorities a request may have. 1: requests have none."""


class Recording(_Strict):
    """What of requests must not be recorded, if a service records them (docs/recording.md): fields by name."""

    redact: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = ()
    """Fields that are left out."""
    hash: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = ()
    """Texts of which a hash is recorded."""


class Labels(_Strict):
    """How the scores of an output become the labels with the highest ones."""

    file: RelativePath
    """A text file of the model folder: one label a line, in the order of the scores."""
    top: int = Field(default=5, ge=1, le=1000)
    scores: Literal["probabilities", "logits"] = "probabilities"
    """logits: the softmax of the numbers is the score."""


class Padding(_Strict):
    """How rows of different lengths share a call: shorter lists of an input get `value` at their end."""

    value: StrictBool | StrictInt | StrictFloat = 0
    to: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """The lengths that the network gets, rising. Each list gets the next of them. Empty: that of the longest list."""

    def check(self, datatype: str, shape: tuple[int, ...]) -> None:
        """Raise ValueError if it does not fit such an input."""
        opened = shape[1:].count(-1)
        if not opened:
            raise ValueError("`padding` is for an input with an open dimension, such as [-1, -1]")
        if datatype == "BYTES":
            raise ValueError("`padding` is for numbers, not for BYTES")
        if not columns.fits(self.value, datatype):
            raise ValueError(f"`padding`: {self.value!r} is no value of {datatype}")
        if self.to and opened > 1:
            raise ValueError("`padding: {to}` is for one open dimension; without `to` there may be several")
        if list(self.to) != sorted(set(self.to)):
            raise ValueError("`padding: {to}` names lengths from the shortest to the longest, each once")


class Tensor(_Strict):
    """One named input or output of a model without an `entry` class. The first dimension is the batch, -1."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]
    datatype: Datatype
    shape: tuple[int, ...] = (-1,)
    description: str = ""
    choices: tuple[StrictStr | StrictInt, ...] = ()
    """All values that there are; empty: no such list."""
    minimum: StrictInt | StrictFloat | None = None
    """The least number, of every element of an array."""
    maximum: StrictInt | StrictFloat | None = None
    nullable: bool = False
    """Whether an input may be null, or left out, which means the same."""
    column: Annotated[str, StringConstraints(min_length=1)] | None = None
    """The name of the estimator's column, if it is not the input's."""
    column_type: ColumnType | None = None
    """The type of the estimator's column, if it is not the usual one of the datatype."""
    missing: Literal["NaN", "None"] = "NaN"
    """What an `object` column has in place of null."""
    image: Image | None = None
    """How image files become this input."""
    labels: Labels | None = None
    """How this output becomes labels with scores."""
    padding: Padding | None = None
    """How rows of different lengths of this input share a call."""
    cut_to: str | None = None
    """The padded input that has the lengths of this output's open dimensions, in the same order."""

    @property
    def in_table(self) -> str:
        """The name of the estimator's column."""
        return self.column or self.name

    @field_validator("shape")
    @classmethod
    def _starts_with_the_batch(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not shape or shape[0] != -1:
            raise ValueError("the first dimension is the batch and must be -1")
        if any(size != -1 and size < 1 for size in shape):
            raise ValueError("a dimension must be at least 1, or -1 if it may differ between rows")
        return shape

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        has_bounds = self.minimum is not None or self.maximum is not None
        if len(self.shape) > 1 and (self.choices or self.nullable or self.column or self.column_type):
            raise ValueError("only an input or output of shape [-1] may have choices, null or a column")
        if has_bounds and (self.image is not None or self.labels is not None):
            raise ValueError("an input with `image` and an output with `labels` have no `minimum` and `maximum`")
        if self.image is not None:
            self.image.check(self.datatype, self.shape)
        if self.labels is not None:
            self._check_labels(self.labels)
        if self.choices:
            self._check_choices()
        if has_bounds and (self.datatype in ("BYTES", "BOOL") or self.choices):
            raise ValueError("`minimum` and `maximum` are for numbers without `choices`")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"the minimum {self.minimum} is above the maximum {self.maximum}")
        if self.missing == "None" and self.column_type != "object":
            raise ValueError("`missing: None` is for an `object` column; any other type has its own missing value")
        if self.column_type is not None and (
            problem := columns.problem(
                self.column_type, self.datatype, nullable=self.nullable, has_choices=bool(self.choices)
            )
        ):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _can_be_padded(self) -> Self:
        if self.padding is not None:
            self.padding.check(self.datatype, self.shape)
        return self

    def _check_labels(self, labels: Labels) -> None:
        if self.datatype not in columns.FLOATS or len(self.shape) != 2 or self.shape[1] == -1:
            raise ValueError("`labels` are for scores: an output of floats with the shape [-1, number of labels]")
        if labels.top > self.shape[1]:
            raise ValueError(f"`labels`: there are {self.shape[1]} scores, fewer than the top {labels.top}")

    def _check_choices(self) -> None:
        kind = str if self.datatype == "BYTES" else int
        if self.datatype == "BOOL" or self.datatype in columns.FLOATS:
            raise ValueError("`choices` are for BYTES and for integers")
        if wrong := [choice for choice in self.choices if not isinstance(choice, kind)]:
            raise ValueError(f"{wrong[0]!r} of `choices` is no value of {self.datatype}")
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("`choices` names a value twice")


class Manifest(_Strict):
    """One model version, as described by its folder."""

    name: ModelName
    version: Version
    title: str = ""
    description: str = ""
    contact: Contact | None = None
    license: License | None = None
    tags: tuple[str, ...] = ()
    format: Format
    artifact: Artifact | None = None
    entry: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    batching: Batching = Batching()
    golden: RelativePath | None = None
    profile: RelativePath | None = None
    recording: Recording = Recording()
    built_with: dict[str, str] = Field(default_factory=dict)
    """The library versions that wrote the artifact, by their names on PyPI (`scikit-learn: 1.9.1`)."""
    version_skew: Literal["refuse", "warn"] = "refuse"
    """What happens if a library of `built_with` is installed in another major.minor version. A pickle contains private
    attributes of a library's objects: another version may load it and give other answers without an error."""
    trusted: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = ()
    """What the artifact may have although it is not known to be data: types of skops, Lambda layers of Keras."""
    rtol: float = Field(default=1e-5, ge=0, le=1)
    """How far floats of f(batch) may differ from f(single) on the golden rows before batching is turned off."""
    atol: float | None = Field(default=None, ge=0)
    """How far floats near zero may differ. None: 1e-5 for a network, which computes in float32, else `rtol` / 1000."""
    isolation: Literal["thread", "process"] = "thread"
    """Where the model runs: on a thread of the service, or in a process of its own. A model whose code holds Python's
    lock for long, hangs or crashes then leaves the service able to answer its probes."""
    idempotent: bool = True
    """Whether repeating a request is safe. False turns off the gateway's retries."""

    deterministic: bool = False
    """Whether equal rows always get equal answers. Only then may the response cache keep them."""

    @property
    def tolerance(self) -> Tolerance:
        """How far floats of an answer may differ from those that are expected."""
        usual = NETWORK_ATOL if KINDS[self.format].is_network else self.rtol / 1000
        return Tolerance(self.rtol, usual if self.atol is None else self.atol)

    @model_validator(mode="after")
    def _has_a_schema(self) -> Self:
        if self.format == "python" and self.entry is None:
            raise ValueError("format 'python' needs `entry: module:Class`")
        if self.format != "python" and self.artifact is None:
            raise ValueError(f"format '{self.format}' needs `artifact: {{path, sha256}}`")
        if KINDS[self.format].is_weights and not (self.entry and self.inputs and self.outputs):
            raise ValueError(
                f"format '{self.format}' needs `inputs`, `outputs` and `entry: module:Class`, which makes the network"
            )
        if self.entry is None and not (self.inputs and self.outputs) and not KINDS[self.format].has_signature:
            raise ValueError("without `entry`, both `inputs` and `outputs` must be declared")
        is_declared = self.entry is None or KINDS[self.format].is_weights
        for part, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            names, stated = [tensor.name for tensor in tensors], [tensor.in_table for tensor in tensors]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"`{part}` names {twice[0]!r} twice")
            if twice := sorted({one for one in stated if stated.count(one) > 1}):
                raise ValueError(f"`{part}` names the column {twice[0]!r} twice")
            # such a field would hide an attribute of pydantic; a name with a leading "_" is not a field
            if is_declared and (taken := [name for name in names if name[0] == "_" or hasattr(BaseModel, name)]):
                raise ValueError(f"`{part}` names {taken[0]!r}, which cannot be a field's name; choose another")
        if wrong := [one.name for one in self.outputs if one.nullable or one.column or one.column_type or one.image]:
            raise ValueError(f"`outputs`: {wrong[0]!r}: nullable, column, column_type and image are for inputs")
        return self

    @model_validator(mode="after")
    def _trusts_where_it_is_read(self) -> Self:
        if self.trusted and (self.entry or not KINDS[self.format].trusts):
            able = ", ".join(f"{kind.trusts} of {name}" for name, kind in KINDS.items() if kind.trusts)
            raise ValueError(f"`trusted` is for models without `entry`, and names {able}")
        return self

    @model_validator(mode="after")
    def _has_files_where_they_are_read(self) -> Self:
        if wrong := [one.name for one in self.inputs if one.labels]:
            raise ValueError(f"`inputs`: {wrong[0]!r}: labels are for outputs")
        with_files = [one.name for one in (*self.inputs, *self.outputs) if one.image or one.labels]
        is_declared = self.entry is None or KINDS[self.format].is_weights
        if with_files and not (is_declared and KINDS[self.format].is_network):
            raise ValueError(f"{with_files[0]!r}: image and labels are for the formats of networks, without a class")
        return self

    @model_validator(mode="after")
    def _is_cut_where_it_is_padded(self) -> Self:
        padded = {one.name: one for one in self.inputs if one.padding}
        if wrong := [one.name for one in self.outputs if one.padding]:
            raise ValueError(f"`outputs`: {wrong[0]!r}: padding is for inputs; an output has `cut_to: INPUT`")
        if wrong := [one.name for one in self.inputs if one.cut_to]:
            raise ValueError(f"`inputs`: {wrong[0]!r}: cut_to is for outputs")
        is_declared = self.entry is None or KINDS[self.format].is_weights
        if padded and not (is_declared and KINDS[self.format].is_network):
            raise ValueError(f"{next(iter(padded))!r}: padding is for the formats of networks, without a class")
        for one in self.outputs:
            opened = one.shape[1:].count(-1)
            if one.cut_to is None:
                if padded and opened:
                    raise ValueError(
                        f"`outputs`: {one.name!r} has an open dimension, and inputs are padded: say whose lengths it "
                        f"has, such as `cut_to: {next(iter(padded))}`"
                    )
            elif one.cut_to not in padded:
                raise ValueError(f"`outputs`: {one.name!r}: cut_to names {one.cut_to!r}, which is no padded input")
            elif opened != padded[one.cut_to].shape[1:].count(-1):
                raise ValueError(f"`outputs`: {one.name!r} has not as many open dimensions as {one.cut_to!r}")
        return self
