"""Derives a strict row type from the author's row type, so that requests to every model are validated the same way.

Strict means: unknown fields are errors, the text "1.5" is not a number, and NaN and infinity are not allowed.
`strict(Flower)` is a subclass of `Flower`, so `predict` still gets the type that it declares. pydantic's config does
not apply to nested models, so each nested model gets a strict subclass too, which replaces it in the annotation. A
field with its own setting, `Field(strict=False)` or `Field(allow_inf_nan=True)`, keeps that setting.
"""

from __future__ import annotations

import copy
import dataclasses
import types
import typing
from typing import Annotated, Any, ForwardRef, Literal, Union

from pydantic import BaseModel, ConfigDict, RootModel
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict  # pydantic takes only these on Python 3.11

from fairlead import errors

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
STRICT_ROOT = ConfigDict(strict=True, allow_inf_nan=False)  # pydantic does not allow `extra` on a RootModel


def strict(row_type: type[BaseModel]) -> type[BaseModel]:
    """The strict subclass of a row type. Nested models are strict too, to any depth. Raises Invalid."""
    builder = _StrictBuilder()
    derived = builder.strict_model(row_type)
    assert isinstance(derived, type)  # strict_model returns a forward reference only for a model inside itself
    builder.resolve_forward_references()
    return derived


class _StrictBuilder:
    """Walks over one row type. Keeps the models it has visited, so that a recursive model does not loop forever."""

    def __init__(self) -> None:
        self._done: dict[type[BaseModel], type[BaseModel]] = {}
        self._started: dict[type[BaseModel], str] = {}

    def strict_model(self, author: type[BaseModel]) -> type[BaseModel] | ForwardRef:
        if author in self._done:
            return self._done[author]
        if author in self._started:
            return ForwardRef(self._started[author])
        self._started[author] = f"Strict{len(self._started)}{author.__name__}"
        changed: dict[str, tuple[Any, FieldInfo]] = {}
        for name, field in author.model_fields.items():
            annotation = self._strict_annotation(field.annotation, f"{author.__name__}.{name}")
            if annotation is not field.annotation:
                changed[name] = (annotation, copy.copy(field))
        self._done[author] = _subclass(author, changed)
        return self._done[author]

    def resolve_forward_references(self) -> None:
        namespace = {self._started[author]: derived for author, derived in self._done.items()}
        for derived in self._done.values():
            derived.model_rebuild(_types_namespace=namespace)

    def _strict_annotation(self, annotation: Any, where: str) -> Any:
        if isinstance(annotation, type) and not typing.get_args(annotation):
            if issubclass(annotation, BaseModel):
                return self.strict_model(annotation)
            if dataclasses.is_dataclass(annotation) or is_typeddict(annotation):
                raise errors.Invalid(
                    f"{where}: {annotation.__name__} is a {_kind(annotation)}, which cannot be made strict",
                    hint="Write it as a pydantic BaseModel.",
                )
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if not args or origin is Literal:
            return annotation
        if origin is Annotated:
            inner = self._strict_annotation(args[0], where)
            return annotation if inner is args[0] else Annotated[inner, *args[1:]]
        inner_args = tuple(self._strict_annotation(arg, where) for arg in args)
        if all(new is old for new, old in zip(inner_args, args, strict=True)):
            return annotation
        return Union[inner_args] if origin in (Union, types.UnionType) else origin[inner_args]  # noqa: UP007


def _subclass(author: type[BaseModel], fields: dict[str, tuple[Any, FieldInfo]]) -> type[BaseModel]:
    """A strict subclass that keeps the author's name, module and docstring, which docs page and errors show."""
    body = {
        "__module__": author.__module__,
        "__qualname__": author.__qualname__,
        "__doc__": author.__doc__,
        "__annotations__": {name: annotation for name, (annotation, _) in fields.items()},
        "model_config": STRICT_ROOT if issubclass(author, RootModel) else STRICT,
        **{name: field for name, (_, field) in fields.items()},
    }
    return types.new_class(author.__name__, (author,), {}, lambda namespace: namespace.update(body))


def _kind(annotation: type) -> str:
    return "dataclass" if dataclasses.is_dataclass(annotation) else "TypedDict"
