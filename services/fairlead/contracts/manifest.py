"""`fairlead.yaml`: what a model folder says about itself (architecture, section 5)."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

# A model's name is a DNS label: it becomes object names, paths and a part of Envoy cluster names, which are
# split at "~" and may hold no "_" (routing.envoy.names).
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
# Semantic-version shaped, lower case, no "_", "~" or "+": the same word is a path segment, a header value,
# an image tag and a Kubernetes label value.
Version = Annotated[str, StringConstraints(pattern=r"^[0-9a-z]([0-9a-z.-]{0,38}[0-9a-z])?$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


# Where a digest or a golden row is read from must not depend on where the folder lies.
def _relative(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError("must be a path inside the model folder, with '/' and without '..'")
    return path


RelativePath = Annotated[str, AfterValidator(_relative)]
Format = Literal["sklearn", "joblib", "pickle", "python"]
Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP32", "FP64", "BYTES"
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Contact(_Strict):
    """Who to ask; shown on the docs page."""

    name: str
    email: str | None = None
    url: str | None = None


class License(_Strict):
    """Under what terms the model may be used; shown on the docs page."""

    name: str
    url: str | None = None


class Artifact(_Strict):
    """The trained file or folder. `path` is relative to the model folder and may not leave it."""

    path: RelativePath
    sha256: Sha256


class Batching(_Strict):
    """How rows of several requests share one call of the model. `max_rows: 1` turns batching off."""

    max_rows: int = Field(default=64, ge=1, le=65536)
    max_wait_ms: float = Field(default=0, ge=0, le=1000)


class Tensor(_Strict):
    """One named input or output of a model without a class; a first dimension of -1 is the batch."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]
    datatype: Datatype
    shape: tuple[int, ...] = (-1,)
    description: str = ""

    @field_validator("shape")
    @classmethod
    def _starts_with_the_batch(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not shape or shape[0] != -1:
            raise ValueError("the first dimension is the batch and must be -1")
        if any(size != -1 and size < 1 for size in shape):
            raise ValueError("a dimension is at least 1, or -1 where every row may have its own")
        return shape


class Manifest(_Strict):
    """One model version, as its folder describes it."""

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
    built_with: dict[str, str] = Field(default_factory=dict)
    """Library -> version the artifact was written with (`scikit-learn: 1.9.1`), in the names of the Python index."""
    version_skew: Literal["refuse", "warn"] = "refuse"
    """What happens where a library of `built_with` is here in another major.minor version. A pickle holds the private
    attributes of a library's objects: in another version it may load and answer differently, without an error."""
    rtol: float = Field(default=1e-5, ge=0, le=1)
    """How far floats of f(batch) may lie from f(single) on the golden rows before batching is turned off."""
    idempotent: bool = True
    """False switches off the gateway's retries: asking twice is then not the same as asking once."""

    @model_validator(mode="after")
    def _has_a_schema(self) -> Self:
        if self.format == "python" and self.entry is None:
            raise ValueError("format 'python' needs `entry: module:Class`")
        if self.format != "python" and self.artifact is None:
            raise ValueError(f"format '{self.format}' needs `artifact: {{path, sha256}}`")
        if self.entry is None and not (self.inputs and self.outputs):
            raise ValueError("without `entry`, both `inputs` and `outputs` must be declared")
        for part, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [tensor.name for tensor in tensors]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"`{part}` names {twice[0]!r} twice")
            # pydantic's own attributes would be hidden by the field, and a leading "_" is no field at all
            if self.entry is None and (taken := [name for name in names if name[0] == "_" or hasattr(BaseModel, name)]):
                raise ValueError(f"`{part}` names {taken[0]!r}, which cannot be a field's name; choose another")
        return self
