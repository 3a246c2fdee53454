"""Derives a strict row type from the author's row type, so that requests to every model are validated the same way.

Strict means: unknown fields are errors, the text "1.5" is not a number, true is not a 1, and NaN and infinity are not
allowed. Integers
are limited to 64 bits where the author set no bounds: arrays cannot hold larger ones.
`strict(Flower)` is a subclass of `Flower`, so `predict` still gets the type that it declares. pydantic's config does
not apply to nested models, so each nested model gets a strict subclass too, which replaces it in the annotation. A
field with its own setting, `Field(strict=False)` or `Field(allow_inf_nan=True)`, keeps that setting.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import types
import typing
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ForwardRef, Literal, Union

import annotated_types
from pydantic import AliasChoices, AliasPath, BaseModel, BeforeValidator, ConfigDict, PydanticUserError, RootModel
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict  # pydantic takes only these on Python 3.11

from fairlead import errors
from fairlead.serving.formats import datatypes, look_alikes

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
STRICT_ROOT = ConfigDict(strict=True, allow_inf_nan=False)  # pydantic does not allow `extra` on a RootModel


def strict(
    row_type: type[BaseModel],
    integers: datatypes.Range = datatypes.INT64,
    fields: Mapping[str, datatypes.Range] = MappingProxyType({}),
) -> type[BaseModel]:
    """The strict subclass of a row type. Nested models are strict too, to any depth. Raises Invalid.

    `integers` is the range of those that the model can get; `fields` has the fields with another one.
    """
    tags: frozenset[_Tag] = frozenset()
    while True:
        builder = _StrictBuilder(row_type, integers, fields, tags)
        try:
            return builder.built()
        except PydanticUserError as problem:
            # pydantic reads the values of a discriminator from its type, which then may have no validator. The union
            # looks at its tags itself (`look_alikes.discriminator`). A type ends at the first union that is wrong.
            if problem.code != "discriminator-validator" or builder.tags <= tags:
                raise
            tags = builder.tags


_Tag = tuple[type[BaseModel], str]
"""A field whose values tell the choices of a union apart."""


class _StrictBuilder:
    """Walks over one row type. Keeps the models it has visited, so that a recursive model does not loop forever."""

    def __init__(
        self,
        root: type[BaseModel],
        integers: datatypes.Range,
        fields: Mapping[str, datatypes.Range],
        tags: frozenset[_Tag] = frozenset(),
    ) -> None:
        self._integers = self._usual = integers
        self._root, self._fields = root, fields
        self._without_validator = tags
        self.tags = tags
        """The discriminators that were found, and those that were known."""
        self._done: dict[type[BaseModel], type[BaseModel]] = {}
        self._started: dict[type[BaseModel], str] = {}

    def built(self) -> type[BaseModel]:
        derived = self.strict_model(self._root)
        assert isinstance(derived, type)  # strict_model returns a forward reference only for a model inside itself
        self.resolve_forward_references()
        return derived

    def strict_model(self, author: type[BaseModel]) -> type[BaseModel] | ForwardRef:
        if author in self._done:
            return self._done[author]
        if author in self._started:
            return ForwardRef(self._started[author])
        self._started[author] = f"Strict{len(self._started)}{author.__name__}"
        changed: dict[str, tuple[Any, FieldInfo]] = {}
        for name, field in author.model_fields.items():
            where = f"{author.__name__}.{name}"
            _check_alias(field.validation_alias, where)
            self._integers = self._fields.get(name, self._usual) if author is self._root else self._usual
            self._note_tags(field.discriminator, field.annotation)
            if (author, name) in self._without_validator:
                continue
            if field.annotation is int:
                annotation = self._integer(field.metadata)
            else:
                annotation = self._strict_annotation(field.annotation, where)
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
        if annotation is int:
            return self._integer(())
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if not args or origin is Literal:
            return _with_few_values(annotation)
        if origin is Annotated:
            for part in args[1:]:
                self._note_tags(getattr(part, "discriminator", None), args[0])
            if args[0] is int:
                limited = self._integer(args[1:])
                return annotation if limited is int else Annotated[(int, *args[1:], *limited.__metadata__)]
            inner = self._strict_annotation(args[0], where)
            return annotation if inner is args[0] else Annotated[inner, *args[1:]]
        inner_args = tuple(self._strict_annotation(arg, where) for arg in args)
        if all(new is old for new, old in zip(inner_args, args, strict=True)):
            return annotation
        return Union[inner_args] if origin in (Union, types.UnionType) else origin[inner_args]  # noqa: UP007

    def _note_tags(self, discriminator: object, union: Any) -> None:
        """Keep the fields that tell the choices of a union apart."""
        if isinstance(discriminator, str):
            self.tags |= {(model, discriminator) for model in _models(union)}

    def _integer(self, metadata: Iterable[Any]) -> Any:
        """`int`, with the limits that are narrower than the author's: of two bounds, pydantic uses the last one."""
        parts = list(_flat(metadata))
        least = max((bound for part in parts for bound in _bounds(part, "ge", "gt")), default=None)
        most = min((bound for part in parts for bound in _bounds(part, "le", "lt")), default=None)
        for low, high in (datatypes.INTEGERS["UINT64"],) * (self._integers == datatypes.INT64) + (self._integers,):
            limits = ([] if least is not None and least >= low else [annotated_types.Ge(low)]) + (
                [] if most is not None and most <= high else [annotated_types.Le(high)]
            )
            if not limits:
                return int
        return Annotated[(int, *limits)]


def _with_few_values(annotation: Any) -> Any:
    """A Literal or an Enum that accepts its values only as JSON has them; any other type as it is."""
    is_enum = isinstance(annotation, type) and issubclass(annotation, enum.Enum)
    read = look_alikes.reading(list(annotation) if is_enum else typing.get_args(annotation))
    return annotation if read is None else Annotated[annotation, BeforeValidator(read)]


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    """The models among the choices of a union, also of unions in it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models(part)


def _flat(metadata: Iterable[Any]) -> Iterable[Any]:
    """The parts of an annotation's metadata, also those that are inside others."""
    for part in metadata:
        if isinstance(part, FieldInfo):
            yield from _flat(part.metadata)
        elif isinstance(part, annotated_types.GroupedMetadata):
            yield from _flat(part)
        else:
            yield part


def _bounds(part: Any, *names: str) -> list[Any]:
    return [bound for name in names if (bound := getattr(part, name, None)) is not None]


def _check_alias(alias: str | AliasPath | AliasChoices | None, where: str) -> None:
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    if any(isinstance(choice, AliasPath) for choice in choices):
        raise errors.Invalid(
            f"{where}: an AliasPath takes the field out of another one, which neither a schema nor a tensor can say",
            hint="Declare the other field as it is sent, and take the value out of it in `predict`.",
        )


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
