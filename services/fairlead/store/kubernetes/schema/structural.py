"""Conversion of a contract's JSON schema to a CRD's structural schema: no `$ref`, no union with null, no defaults.

Defaults stay in the contracts. A default filled in by the API server would differ from the file in git, and it could
never be changed later.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Schema = dict[str, Any]

_KEPT = (
    *("type", "format", "pattern", "enum", "minimum", "maximum", "required"),
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
)


def structural(model: type[BaseModel], *, defaults: bool = False) -> Schema:
    """The structural schema of a contract, with descriptions from its docstrings.

    `defaults` adds the contract's default to each description; use it for what users write.
    """
    whole = model.model_json_schema(by_alias=True)
    return _converted(whole, whole.get("$defs", {}), _sentences(model, defaults))


def simplified(schema: Schema, *, depth: int = 1) -> Schema:
    """A schema for data that only we write: types without constraints, and no descriptions below `depth`."""
    dropped = {"pattern", "minimum", "maximum", "enum", "required", *(("description",) if depth < 0 else ())}
    found = {key: value for key, value in schema.items() if key not in dropped}
    if "properties" in found:
        found["properties"] = {name: simplified(inner, depth=depth - 1) for name, inner in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in found:
            found[key] = simplified(found[key], depth=depth - 1)
    return found


def _converted(schema: Mapping[str, Any], definitions: Mapping[str, Any], sentences: Mapping[str, Any]) -> Schema:
    if "$ref" in schema:
        return _converted(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions, sentences)
    if "anyOf" in schema:
        # The only kind of union in the contracts: a type, or null.
        (inner,) = (one for one in schema["anyOf"] if one.get("type") != "null")
        return {**_converted({**inner}, definitions, sentences), "nullable": True}
    found: Schema = {key: schema[key] for key in _KEPT if key in schema}
    if "const" in schema:
        found["enum"] = [schema["const"]]
    texts = sentences.get(schema.get("title", ""), {})
    if "" in texts:
        found["description"] = texts[""]
    if "properties" in schema:
        found["properties"] = {
            name: _field(inner, texts.get(name), definitions, sentences) for name, inner in schema["properties"].items()
        }
    if "items" in schema:
        found["items"] = _converted(schema["items"], definitions, sentences)
    values = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))
    if isinstance(values, Mapping):
        found["additionalProperties"] = _converted(values, definitions, sentences)
    return found


def _field(
    schema: Mapping[str, Any], text: str | None, definitions: Mapping[str, Any], sentences: Mapping[str, Any]
) -> Schema:
    found = _converted(schema, definitions, sentences)
    if text:
        found["description"] = text
    return found


def _sentences(model: type[BaseModel], defaults: bool) -> dict[str, dict[str, str]]:
    """Class name -> JSON field name -> docstring, for a contract and its nested classes; "" is the class itself."""
    found: dict[str, dict[str, str]] = {}
    left = [model]
    while left:
        this = left.pop()
        if this.__name__ in found:
            continue
        found[this.__name__] = _of_class(this, defaults)
        for field in this.model_fields.values():
            left += _models_in(field.annotation)
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _models_in(inner)]


def _of_class(model: type[BaseModel], defaults: bool) -> dict[str, str]:
    found = {"": _one_line(model.__doc__ or "")}
    tree = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    for field, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            name = field.target.id
            texts = (_docstring(after), _default(model, name) if defaults else "")
            found[model.model_fields[name].alias or name] = " ".join(filter(None, texts))
    return {name: text for name, text in found.items() if text}


def _docstring(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return _one_line(node.value.value)
    return ""


def _default(model: type[BaseModel], name: str) -> str:
    """The contract's default as a sentence; a reader of the CRD finds it nowhere else."""
    field: FieldInfo = model.model_fields[name]
    if field.is_required() or field.default in (None, "", (), {}) or isinstance(field.default, BaseModel | tuple):
        return ""
    plain = model.model_construct(**{name: field.default}).model_dump(mode="json", include={name}, by_alias=False)
    return f"Default: {json.dumps(plain[name])}."


def _one_line(text: str) -> str:
    return " ".join(text.replace("`", "").split("\n\n")[0].split())
