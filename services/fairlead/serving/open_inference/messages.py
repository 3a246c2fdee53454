"""The requests and responses of the Open Inference Protocol (V2) over REST, as pydantic types."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MAX_DIMENSIONS = 8
Parameters = dict[str, str | int | float | bool | None]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class InputTensor(_StrictModel):
    """One field of every row, or all of them as the columns of a matrix."""

    name: str
    shape: list[int] = Field(
        description="The number of rows, then the field's own shape.", min_length=1, max_length=MAX_DIMENSIONS
    )
    datatype: str
    parameters: Parameters | None = Field(
        default=None, description="`binary_data_size`: so many bytes after the JSON are the elements."
    )
    data: list[Any] | None = Field(
        default=None, description="Elements in row-major order, flat or nested; required without `binary_data_size`."
    )


class OutputWanted(_StrictModel):
    """The name of an output the caller wants."""

    name: str
    parameters: Parameters | None = Field(
        default=None, description="`binary_data`: whether its elements follow the JSON in binary form."
    )


class InferRequest(_StrictModel):
    """An inference request. Further members, such as the model's name, are not used."""

    model_config = ConfigDict(extra="allow")

    id: str | None = Field(default=None, max_length=256)
    parameters: Parameters | None = Field(
        default=None, description="`binary_data_output`: whether the outputs are binary that do not say it themselves."
    )
    inputs: list[InputTensor] = Field(
        min_length=1,
        description="One tensor per field. If all fields are numbers, it may be one tensor of any name whose columns "
        "are the fields in their order.",
    )
    outputs: list[OutputWanted] | None = Field(default=None, description="None or empty: all outputs.")


class OutputTensor(BaseModel):
    """One field of every answer. It has `data`, or `binary_data_size` if its elements follow the JSON."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: list[Any] | None = None


class InferResponse(BaseModel):
    """The answers to an inference request."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]
