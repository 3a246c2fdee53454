"""Rows and answers as bytes, for the pipe between the service and the process of its model.

Pickle finds a class by its name. The types of a model are not always found that way: the strict row type has the name
of the author's, and those of a manifest have no module. So both ends list the types that are reachable from the row and
the answer type, in the same order, and an object is written with the index of its type.
"""

from __future__ import annotations

import io
import pickle
import typing
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

_codecs: weakref.WeakValueDictionary[str, Codec] = weakref.WeakValueDictionary()


class Codec:
    """Writes and reads values that contain objects of these types. Both ends must give the same `name` and types."""

    def __init__(self, name: str, *roots: type[BaseModel]) -> None:
        self._types = tuple(dict.fromkeys(kind for root in roots for kind in _reachable(root, set())))
        self._dispatch: dict[type, Callable[[Any], Any]] = {
            kind: _reducer(name, kind, index) for index, kind in enumerate(self._types) if not _pickles_itself(kind)
        }
        _codecs[name] = self

    def dumps(self, value: Any) -> bytes:
        """`value` as bytes. Raises any exception for an object that cannot be pickled."""
        buffer = io.BytesIO()
        pickler = pickle.Pickler(buffer, protocol=5)
        pickler.dispatch_table = self._dispatch
        pickler.dump(value)
        return buffer.getvalue()

    def rebuilt(self, index: int, values: dict[str, Any], given: frozenset[str] | None, rest: Any) -> BaseModel:
        """The object with the type of this index; the other arguments are those that `_reducer` wrote."""
        kind = self._types[index]
        made = kind.__new__(kind)
        # Past the checks of pydantic: the object was valid when it was written.
        _set(made, "__dict__", values)
        _set(made, "__pydantic_fields_set__", set(kind.model_fields) if given is None else set(given))
        extra, private = rest or (None, None)
        _set(made, "__pydantic_extra__", extra)
        _set(made, "__pydantic_private__", private)
        return made


_set = object.__setattr__
loads = pickle.loads


def _rebuilt(name: str, *written: Any) -> BaseModel:
    return _codecs[name].rebuilt(*written)


def _reducer(name: str, kind: type[BaseModel], index: int) -> Callable[[BaseModel], Any]:
    fields = len(kind.model_fields)

    def reduce(model: BaseModel) -> Any:
        given = model.__pydantic_fields_set__
        rest = model.__pydantic_extra__, model.__pydantic_private__
        return _rebuilt, (
            name,
            index,
            model.__dict__,
            None if len(given) == fields else frozenset(given),
            None if rest == (None, None) else rest,
        )

    return reduce


def _pickles_itself(kind: type[BaseModel]) -> bool:
    """Whether the author wrote how its objects are pickled."""
    usual = {"__reduce__": object, "__reduce_ex__": object, "__getstate__": BaseModel, "__setstate__": BaseModel}
    return any(getattr(kind, name) is not getattr(owner, name) for name, owner in usual.items())


def _reachable(kind: Any, seen: set[Any]) -> Iterator[type[BaseModel]]:
    """The pydantic models in an annotation, in the order of their fields, the outermost first."""
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
        seen.add(kind)
        yield kind
        for field in kind.model_fields.values():
            yield from _reachable(field.annotation, seen)
    for part in typing.get_args(kind):
        yield from _reachable(part, seen)
