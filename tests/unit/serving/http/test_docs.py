from __future__ import annotations

import asyncio
import json
import re
from enum import IntEnum
from typing import Any

import pytest
from pydantic import BaseModel, Field

from fairlead.serving.formats import datatypes
from fairlead.serving.http import openapi30
from fairlead.serving.http.docs import prefix
from fairlead.serving.inference import contract, tensors
from support.small_models import GOLDEN, Adder, Point, Reply, Served, ask, manifest, running


def fetch(path: str, headers: dict[str, str] | None = None, *, row: type[BaseModel] = Point) -> Reply:
    async def once() -> Reply:
        described = manifest(
            description="Adds.",
            contact={"name": "Owners", "email": "owners@example.com"},
            license={"name": "Apache-2.0"},
            tags=["example"],
        )
        async with running(Served(row=row, golden=GOLDEN if row is Point else (), manifest=described)) as app:
            return await ask(app, "GET", path, headers=headers)

    return asyncio.run(once())


def test_the_document_has_the_texts_of_the_manifest() -> None:
    info = json.loads(fetch("/openapi.json").body)["info"]
    assert info == {
        "title": "Adder",
        "version": "1.2.0",
        "description": "Adds.",
        "contact": {"name": "Owners", "email": "owners@example.com"},
        "license": {"name": "Apache-2.0"},
        "x-tags": ["example"],
    }


class Grade(IntEnum):
    """A whole number with a schema of its own, which the schema of its row refers to."""

    LOW = 1
    HIGH = 2


class Graded(BaseModel):
    """A row whose fields are all numbers."""

    grade: Grade


@pytest.mark.parametrize("row", [Point, Graded])
def test_every_reference_of_the_document_resolves(row: type[BaseModel]) -> None:
    text = fetch("/openapi.json", row=row).body.decode()
    document = json.loads(text)
    for reference in set(re.findall(r'"(#/[^"]+)"', text)):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
    identifiers = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(identifiers) == len(set(identifiers))


def test_every_url_of_the_page_is_relative_and_served() -> None:
    page = fetch("/docs").body.decode()
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(links) == 4
    for link in (*links, "docs/openapi.json"):
        assert not link.startswith(("/", "http"))
        assert fetch(f"/{link}").status == 200
    assert 'url: "docs/openapi.json"' in fetch("/docs/start.js").body.decode()
    assert fetch("/docs/").headers["location"] == "../docs"


@pytest.mark.parametrize("asset", ["swagger-ui.js.map", "..%2f..%2fetc", "index.html"])
def test_no_other_asset_is_served(asset: str) -> None:
    assert fetch(f"/docs/{asset}").status == 404


def test_behind_the_gateway_the_document_uses_the_model_s_path() -> None:
    for path in ("/openapi.json", "/docs/openapi.json"):
        document = json.loads(fetch(path, {"x-forwarded-prefix": "/models/adder"}).body)
        assert document["servers"] == [{"url": "/models/adder"}]
        assert "servers" not in document["paths"]["/predict"]
        assert document["paths"]["/v1/models/adder:predict"]["servers"] == [{"url": "/"}]
        assert document["paths"]["/v2/models/adder/infer"]["servers"] == [{"url": "/"}]
        assert "/metrics" not in document["paths"]
    assert "servers" not in json.loads(fetch("/openapi.json").body)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("/models/iris", "/models/iris"),
        ("/models/iris/versions/1.2.0/", "/models/iris/versions/1.2.0"),
        ("//evil.example", ""),
        ("https://evil.example", ""),
        ("/a/../b", ""),
        ('/"><script>', ""),
        ("", ""),
    ],
)
def test_only_a_plain_path_is_accepted_as_prefix(given: str, used: str) -> None:
    class Request:
        headers = {"x-forwarded-prefix": given}

    assert prefix(Request()) == used  # type: ignore[arg-type]


class Colour(BaseModel):
    red: int = Field(ge=0, le=255)


class Everything(BaseModel):
    number: float
    whole: int
    truth: bool
    text: str
    pair: tuple[float, float]
    vector: list[float] = Field(min_length=3, max_length=3)
    loose: list[float]
    maybe: float | None = None
    colour: Colour


def test_validation_openapi_and_tensors_agree_about_every_field() -> None:
    """The schema is defined once: validation, the OpenAPI document and the V2 metadata have the same fields."""
    terms = contract.Contract(Served(row=Point).row_type, Adder.answer_type, 10)
    document = json.loads(fetch("/openapi.json").body)
    stated = document["components"]["schemas"]["Point"]
    metadata = json.loads(fetch("/v2/models/adder").body)["inputs"]
    assert stated == terms.row_type.model_json_schema()
    assert stated["additionalProperties"] is False
    assert [tensor["name"] for tensor in metadata] == list(stated["properties"]) == list(Point.model_fields)
    types = {"FP64": "number", "INT64": "integer", "BYTES": "string", "BOOL": "boolean"}
    assert [types[tensor["datatype"]] for tensor in metadata] == [p["type"] for p in stated["properties"].values()]
    assert (stated["properties"]["n"]["minimum"], stated["properties"]["n"]["maximum"]) == datatypes.INT64


def test_every_kind_of_field_has_a_tensor_form() -> None:
    described = {tensor.name: tensor for tensor in tensors.of(Everything, "validation", whole="row")}
    assert [(t.datatype, t.shape, t.json) for t in described.values()] == [
        ("FP64", (), False),
        ("INT64", (), False),
        ("BOOL", (), False),
        ("BYTES", (), False),
        ("FP64", (2,), False),
        ("FP64", (3,), False),
        ("BYTES", (), True),
        ("FP64", (), False),
        ("BYTES", (), True),
    ]
    assert not described["maybe"].required
    assert [name for name, tensor in described.items() if tensor.nullable] == ["maybe"]


def test_a_document_for_the_page_has_no_keyword_that_only_openapi_3_1_has() -> None:
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "schema": {
            "exclusiveMinimum": 0,
            "anyOf": [{"type": "number"}, {"type": "null"}],
            "prefixItems": [{"type": "number"}, {"type": "number"}],
            "examples": [1],
        },
        "const": {"const": "a"},
        "example": {"value": {"const": 1, "anyOf": [{"type": "null"}]}},
    }
    assert openapi30.downgraded(document) == {
        "openapi": "3.0.3",
        "schema": {
            "minimum": 0,
            "exclusiveMinimum": True,
            "nullable": True,
            "type": "number",
            "items": {"type": "number"},
            "example": 1,
        },
        "const": {"enum": ["a"]},
        "example": {"value": {"const": 1, "anyOf": [{"type": "null"}]}},
    }
