"""What a type says means the same in every protocol: which rows are accepted, and what is answered."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import uuid
from typing import Annotated, Any, Literal, NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from fairlead import errors
from fairlead.serving.formats import datatypes
from fairlead.serving.formats.strict import strict
from fairlead.serving.http import json_protocols
from fairlead.serving.http.endpoint import Decode
from fairlead.serving.inference import binary_tensors, contract
from fairlead.serving.open_inference import interface
from fairlead.serving.open_inference.binary_form import Mixed
from support.small_models import manifest


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Inner(BaseModel):
    x: float


KINDS: dict[str, Any] = {
    "number": float,
    "whole": int,
    "truth": bool,
    "text": str,
    "lenient whole": Annotated[int, Field(strict=False)],
    "lenient number": Annotated[float, Field(strict=False)],
    "lenient truth": Annotated[bool, Field(strict=False)],
    "any float": Annotated[float, Field(allow_inf_nan=True)],
    "bounded": Annotated[float, Field(gt=0, le=1.5)],
    "multiple": Annotated[int, Field(multiple_of=3)],
    "pattern": Annotated[str, Field(pattern="^a+$", max_length=2)],
    "enum of text": Colour,
    "enum of numbers": Level,
    "date": datetime.date,
    "time": datetime.datetime,
    "duration": datetime.timedelta,
    "decimal": decimal.Decimal,
    "bytes": bytes,
    "uuid": uuid.UUID,
    "a number or none": float | None,
    "a whole number or none": int | None,
    "a text or none": str | None,
    "a text or null, declared": Annotated[str | None, Field(json_schema_extra={"nullable": True})],
    "a truth or null, declared": Annotated[bool | None, Field(json_schema_extra={"nullable": True})],
    "one of two texts or null, declared": Annotated[
        Literal["a", "aa"] | None, Field(json_schema_extra={"nullable": True})
    ],
    "one of two texts": Literal["a", "aa"],
    "one of two numbers": Literal[1, 2],
    "one truth": Literal[True],
    "a number or a truth": Literal[1, False],
    "numbers of a few": list[Literal[0, 1]],
    "a text or a number": Literal["a", 1],
    "int or str": int | str,
    "float or int": float | int,
    "two numbers": Annotated[list[float], Field(min_length=2, max_length=2)],
    "two whole numbers": Annotated[list[int], Field(min_length=2, max_length=2)],
    "a pair": tuple[int, str],
    "any number of numbers": list[int],
    "a table": dict[str, int],
    "an object": Inner,
    "anything": Any,
    "a choice of texts": datatypes.choice_type("BYTES", ["a", "aa"]),
    "a choice of texts, or none": datatypes.choice_type("BYTES", ["a", "aa"]) | None,
    "a choice of numbers": datatypes.choice_type("INT32", [1, 3]),
    "a choice of numbers, or none": datatypes.choice_type("INT64", [1, 3]) | None,
    "bounded whole": datatypes.field_type("INT64", "float64", -1, 200),
    "bounded FP32, or none": datatypes.field_type("FP32", minimum=0) | None,
    **{datatype: datatypes.field_type(datatype) for datatype in ("FP32", "INT8", "INT32", "UINT64", "BOOL")},
}
NUMBERS = [0, 1, 3, 1.0, 1.5, -1, 200, 2**53 + 1, 2**63, 2**64 - 1, 2**64, 10**30, 1e39, math.nan, math.inf, -0.0]
TEXTS = ["1", "1.50", "a", "aa", "red", "true", "é", "P1D", "2026-01-31", "2026-01-31T10:00:00Z", str(uuid.UUID(int=1))]
LISTS = [[1.0, 2.0], [1, 2], [1, "a"], ["1"], [2**70], [2**63, 1], []]
OBJECTS = [{}, {"x": 1}, {"x": 1.5}, {"x": 2**70}, {"x": "1"}, {"y": 1}]
VALUES: st.SearchStrategy[Any] = st.sampled_from([*NUMBERS, *TEXTS, *LISTS, *OBJECTS, True, False, None])
ANYTHING = VALUES | st.floats() | st.integers() | st.text(max_size=3)


class Protocols(NamedTuple):
    """The decoders of one model, by the way in which a row is sent."""

    tensors: interface.OpenInference
    answer_type: type[BaseModel]
    decode: dict[str, Decode]


def json_size(body: bytes) -> bytes:
    """The header that says where the JSON of a body ends."""
    return b"%d" % json.JSONDecoder().raw_decode(body.decode("latin-1"))[1]


def protocols(kind: Any) -> Protocols:
    row, answer = (create_model(name, f=(kind, ...)) for name in ("Row", "Answer"))
    terms = contract.Contract(strict(row), answer, 4)
    tensors, plain = interface.OpenInference(terms, manifest()), json_protocols.plain(terms)
    return Protocols(
        tensors,
        answer,
        {
            "one": plain,
            "list": plain,
            "v1": json_protocols.kserve_v1(terms),
            "v2": tensors.decode,
            "v2 binary": lambda body: tensors.decode_mixed(json_size(body), body),
        },
    )


SERVED = {name: protocols(kind) for name, kind in KINDS.items()}


def sent(served: Protocols, value: Any) -> dict[str, bytes]:
    """The row in the form of each protocol; as a tensor with the datatype that the metadata say."""
    row = {"f": value}
    (tensor,) = served.tensors.inputs
    data = json.dumps(value) if tensor.json else value
    shape, datatype = [1, *tensor.shape], tensor.datatype
    inputs: list[dict[str, Any]] = [{"name": "f", "datatype": datatype, "shape": shape, "data": [data]}]
    bodies: dict[str, Any] = {"one": row, "list": [row], "v1": {"instances": [row]}, "v2": {"inputs": inputs}}
    found = {name: json.dumps(body).encode() for name, body in bodies.items()}
    elements = data if tensor.shape and isinstance(data, list) else [data]
    if (raw := binary(datatype, elements)) is not None and len(elements) == math.prod(tensor.shape):
        del inputs[0]["data"]
        inputs[0]["parameters"] = {"binary_data_size": len(raw)}
        asked = {"inputs": inputs, "parameters": {"binary_data_output": True}}
        found["v2 binary"] = json.dumps(asked).encode() + raw
    return found


def binary(datatype: str, elements: list[Any]) -> bytes | None:
    """The elements in binary form; None if a client that has them as an array cannot have these."""
    kinds = {"BYTES": (str,), "BOOL": (bool,)}.get(datatype, (int,) if "INT" in datatype else (float,))
    if not all(type(one) in kinds for one in elements):
        return None
    try:
        raw = binary_tensors.encoded(datatype, elements)
    except (OverflowError, UnicodeError):
        return None
    if raw is None or binary_tensors.elements(datatype, memoryview(raw), len(elements), ()) != elements:
        return None
    return raw


def answered(decode: Decode, body: bytes, answer_type: type[BaseModel]) -> Any:
    """The response of a model that answers with what it gets, or the class of the error."""
    try:
        rows, encode, _ = decode(body)
        payload = encode([answer_type.model_construct(f=row.f) for row in rows])
        return json.loads(payload) if isinstance(payload, bytes) else from_binary(payload)
    except errors.FairleadError as problem:
        return type(problem)


def from_binary(payload: Mixed) -> Any:
    """The response in JSON, from one whose output is in binary form."""
    response, after = json.loads(payload.body[: payload.json_size]), payload.body[payload.json_size :]
    (output,) = response["outputs"]
    if "data" not in output:
        count = math.prod(output["shape"])
        output["data"] = binary_tensors.elements(output["datatype"], memoryview(after), count, ())
    return response


def the_answer(served: Protocols, name: str, response: Any) -> Any:
    if isinstance(response, type):
        return response
    if name.startswith("v2"):
        ((output,), (tensor,)) = response["outputs"], served.tensors.outputs
        assert (output["datatype"], output["shape"]) == (tensor.datatype, [1, *tensor.shape])
        found = output["data"] if tensor.shape else output["data"][0]
        return {"f": json.loads(found) if tensor.json else found}
    return {"one": lambda: response, "list": lambda: response[0], "v1": lambda: response["predictions"][0]}[name]()


@given(kind=st.sampled_from(list(KINDS)), value=ANYTHING)
@example(kind="whole", value=2**53 + 1)
@example(kind="UINT64", value=2**64 - 1)
@example(kind="lenient whole", value="1")
@example(kind="lenient truth", value=1)
@example(kind="any float", value=math.inf)
@example(kind="anything", value=10**30)
@example(kind="one of two numbers", value=True)
@example(kind="one truth", value=1)
@example(kind="decimal", value="1.50")
def test_a_row_is_accepted_by_all_protocols_or_by_none_and_gets_one_answer(kind: str, value: Any) -> None:
    served = SERVED[kind]
    if served.tensors.inputs[0].nullable and isinstance(value, float) and math.isnan(value):
        return  # in a tensor, NaN means that the number is missing
    bodies, answer_type = sent(served, value), served.answer_type
    found = {
        name: the_answer(served, name, answered(decode, bodies[name], answer_type))
        for name, decode in served.decode.items()
        if name in bodies
    }
    assert all(one == found["one"] for one in found.values()), found
